"""Lists with unlabelled training cases: which are labelled, held out, hidden, planned and checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.datasets import check_cases, read_facts, semi_supervised_datalist
from common.datasets.check.bundle_needs import BundleNeeds, needs_of
from common.errors import InputError


def labels(cases) -> list[bool]:
    return ["label" in case for case in cases]


def names(cases) -> list[str]:
    return [Path(case["image"]).name for case in cases]


@pytest.fixture
def some_labelled(tiny):
    """Four training cases, the last without a label."""
    del tiny.training[3]["label"]
    tiny.save()
    return tiny


def test_cases_with_a_label_are_labelled_and_the_last_is_held_out(some_labelled):
    lists = semi_supervised_datalist(some_labelled.root)
    assert names(lists["training"]) == ["c0.nii.gz", "c1.nii.gz", "c3.nii.gz"]
    assert labels(lists["training"]) == [True, True, False]
    assert names(lists["validation"]) == ["c2.nii.gz"]
    assert lists["training"].places == ["training[0]", "training[1]", "training[3]"]
    assert lists["validation"].places == ["training[2]"]


def test_num_labelled_are_trained_on_and_the_last_of_the_others_choose_the_weights(tiny):
    lists = semi_supervised_datalist(tiny.root, num_labelled=2)
    assert names(lists["training"]) == ["c0.nii.gz", "c1.nii.gz", "c2.nii.gz"]
    assert labels(lists["training"]) == [True, True, False]
    assert names(lists["validation"]) == ["c3.nii.gz"]
    assert labels(lists["validation"]) == [True]


def test_holdout_may_be_a_number_of_cases(tiny):
    lists = semi_supervised_datalist(tiny.root, num_labelled=1, holdout=2)
    assert names(lists["training"]) == ["c0.nii.gz", "c1.nii.gz"]
    assert names(lists["validation"]) == ["c2.nii.gz", "c3.nii.gz"]
    with pytest.raises(InputError, match=r"3 labelled cases are left over .* expected 4: lower num_labelled"):
        semi_supervised_datalist(tiny.root, num_labelled=1, holdout=4)


def test_unlabelled_cases_choose_no_weights(some_labelled):
    lists = semi_supervised_datalist(some_labelled.root, num_labelled=2)
    assert names(lists["validation"]) == ["c2.nii.gz"]
    assert names(lists["training"]) == ["c0.nii.gz", "c1.nii.gz", "c3.nii.gz"]
    with pytest.raises(InputError, match="0 labelled cases are left over"):
        semi_supervised_datalist(some_labelled.root, num_labelled=3)
    assert semi_supervised_datalist(some_labelled.root, num_labelled=3, holdout=0)["validation"] == []


def test_weights_chosen_on_the_test_list_and_a_line_that_says_so(tiny, caplog):
    """The published rule of several papers."""
    with pytest.raises(InputError, match=r'choose_on = .tests.; expected choose_on "validation", or "test"'):
        semi_supervised_datalist(tiny.root, choose_on="tests")
    lists = semi_supervised_datalist(tiny.root, num_labelled=1, choose_on="test")
    assert len(lists["training"]) == 4, "nothing is held out"
    assert names(lists["validation"]) == names(lists["test"]) == ["t0.nii.gz"]
    assert "choosing weights on the test list" in caplog.text
    tiny.save(test=[])
    with pytest.raises(InputError, match="the test list is empty"):
        semi_supervised_datalist(tiny.root, choose_on="test")


@pytest.fixture
def patients(tiny):
    """Six frames of three patients."""
    frames = [tiny.training[i % 4] | {"patient": f"p{i // 2}"} for i in range(6)]
    tiny.save(training=frames)
    return tiny


def test_numbers_count_patients(patients):
    lists = semi_supervised_datalist(patients.root, num_labelled=1, holdout=0)
    assert labels(lists["training"]) == [True, True, False, False, False, False]
    lists = semi_supervised_datalist(patients.root, num_labelled=1, num_unlabelled=1, holdout=0)
    assert [case["patient"] for case in lists["training"]] == ["p0", "p0", "p1", "p1"]
    with pytest.raises(InputError, match=r"training has 6 cases of 3 patients.*num_labelled = 4"):
        semi_supervised_datalist(patients.root, num_labelled=4)


@pytest.mark.parametrize(("num_labelled", "holdout"), [(None, 0.2), (1, 0.2), (1, 1), (1, 2)])
def test_no_patient_is_split(patients, num_labelled, holdout):
    """A fifth of six frames is one frame; the patient's other goes with it."""
    lists = semi_supervised_datalist(patients.root, num_labelled=num_labelled, holdout=holdout)
    assert [case["patient"] for case in lists["training"]] == ["p0", "p0", "p1", "p1"]
    assert [case["patient"] for case in lists["validation"]] == ["p2", "p2"]


def test_a_patient_in_two_lists_is_refused(patients):
    frames = [
        case | {"patient": f"p{i // 2}"} for i, case in enumerate([*patients.training, *patients.training])
    ]
    patients.save(training=frames[:3], validation=frames[3:4])
    with pytest.raises(InputError, match=r"validation\[0\] is of the patient p1, as are cases in training"):
        semi_supervised_datalist(patients.root)
    patients.save(training=[frames[0], frames[2], frames[1]])
    with pytest.raises(InputError, match=r"training\[2\] is of the patient p0, .* one after the other"):
        semi_supervised_datalist(patients.root)


def test_nothing_is_held_out_with_a_validation_list(tiny):
    tiny.save(training=tiny.training[:3], validation=tiny.training[3:])
    lists = semi_supervised_datalist(tiny.root, num_labelled=1)
    assert labels(lists["training"]) == [True, False, False]
    assert names(lists["validation"]) == ["c3.nii.gz"]


def test_unlabelled_cases_are_left_out_on_request(tiny):
    def number(n):
        return len(semi_supervised_datalist(tiny.root, num_labelled=2, num_unlabelled=n)["training"])

    assert [number(n) for n in (0, 1, 5, None)] == [2, 3, 3, 3], "two labelled ones and the unlabelled"


def test_the_same_case_listed_twice_is_held_out_once(tiny):
    tiny.save(training=[tiny.training[0]] * 5)
    lists = semi_supervised_datalist(tiny.root)
    assert lists["training"].places == [f"training[{number}]" for number in range(4)]


def test_a_single_labelled_case_cannot_be_held_out(tiny):
    tiny.save(training=tiny.training[:1])
    with pytest.raises(InputError, match=r"dataset\.json: too few labelled cases \(1\) to hold out"):
        semi_supervised_datalist(tiny.root)
    tiny.save()
    assert len(semi_supervised_datalist(tiny.root, num_labelled=1, holdout=0)["training"]) == 4


def test_more_labels_requested_than_exist(some_labelled):
    with pytest.raises(InputError, match=r"training\[3\] has no label.*num_labelled = 4"):
        semi_supervised_datalist(some_labelled.root, num_labelled=4)
    some_labelled.training[3]["label"] = some_labelled.training[0]["label"]
    some_labelled.save()
    with pytest.raises(InputError, match=r"has 4 cases.*num_labelled = 9"):
        semi_supervised_datalist(some_labelled.root, num_labelled=9)


def test_no_label_at_all(tiny):
    with pytest.raises(InputError, match="none of the 4 training cases has a label"):
        semi_supervised_datalist(tiny.root, num_labelled=0)


def test_the_check_requires_some_label(tiny):
    for case in tiny.training:
        del case["label"]
    facts = read_facts({"training": [{"image": str(tiny.root / c["image"])} for c in tiny.training]})
    (finding,) = check_cases(facts, channels=1, classes=3, labelled=("validation",))
    assert (finding.key, finding.severity) == ("training", "error")
    assert "4 cases without a label" in finding.found


def test_needs_of_a_bundle_say_whether_labels_may_be_missing():
    assert BundleNeeds().unlabelled is False
    assert needs_of("mcnet_plus").unlabelled is True
    assert needs_of("cotr").unlabelled is False
