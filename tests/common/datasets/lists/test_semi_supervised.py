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


def test_num_labelled_keeps_the_first_labels_and_hides_the_others(tiny):
    lists = semi_supervised_datalist(tiny.root, num_labelled=2)
    assert names(lists["training"]) == ["c0.nii.gz", "c2.nii.gz", "c3.nii.gz"]
    assert labels(lists["training"]) == [True, False, False]
    assert names(lists["validation"]) == ["c1.nii.gz"], "one of the two labelled cases, no third label"


def test_nothing_is_held_out_with_a_validation_list(tiny):
    tiny.save(training=tiny.training[:3], validation=tiny.training[3:])
    lists = semi_supervised_datalist(tiny.root, num_labelled=1)
    assert labels(lists["training"]) == [True, False, False]
    assert names(lists["validation"]) == ["c3.nii.gz"]


def test_unlabelled_cases_are_left_out_on_request(tiny):
    def number(n):
        return len(semi_supervised_datalist(tiny.root, num_labelled=2, num_unlabelled=n)["training"])

    assert [number(n) for n in (0, 1, 5, None)] == [1, 2, 3, 3]


def test_the_same_case_listed_twice_is_held_out_once(tiny):
    tiny.save(training=[tiny.training[0]] * 5)
    lists = semi_supervised_datalist(tiny.root)
    assert lists["training"].places == [f"training[{number}]" for number in range(4)]


def test_a_single_labelled_case_cannot_be_held_out(tiny):
    with pytest.raises(InputError, match=r"dataset\.json: too few labelled cases \(1\) to hold out"):
        semi_supervised_datalist(tiny.root, num_labelled=1)
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
