"""The hold-out rule, and lists that know their cases' places in dataset.json."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest

from common.datasets import CaseList
from common.datasets.lists.case_list import as_lists, flat_map, has_label
from common.datasets.lists.holdout import hold_out
from common.errors import InputError


def case_list(number: int, section: str = "training") -> CaseList:
    places = [f"{section}[{i}]" for i in range(number)]
    return CaseList([{"image": f"{section}{i}"} for i in range(number)], Path("/data"), places)


@pytest.mark.parametrize(
    ("number", "share", "held"),
    [(2, 0.2, 1), (7, 0.2, 1), (8, 0.2, 2), (13, 0.2, 3), (4, 0.5, 2), (3, 0.01, 1), (9, 4, 4), (9, 1, 1)],
)
def test_the_last_share_is_held_out(number, share, held):
    cases = list(range(number))
    assert hold_out(cases, [], share, source="x") == (cases[:-held], cases[-held:])


def test_nothing_is_held_out_with_a_validation_list_or_a_share_of_zero():
    assert hold_out([1, 2], [3], 0.2, source="x") == ([1, 2], [3])
    assert hold_out([1, 2], [], 0, source="x") == ([1, 2], [])


@pytest.mark.parametrize(("number", "share"), [(0, 0.2), (1, 0.2), (3, 0.9)])
def test_nothing_left_to_train_on(number, share):
    says = (
        rf"^D/dataset\.json: too few scans \({number}\) to hold out a share of {share} .*: add scans, or list"
    )
    with pytest.raises(InputError, match=says) as told:
        hold_out([0] * number, [], share, source="D/dataset.json", counted="scans")
    assert "\n" not in str(told.value)


def test_all_cases_of_a_patient_are_held_out_together():
    cases = [{"patient": name} for name in "aabbbc"]
    for number, held in ((1, "c"), (2, "bbbc"), (3, "bbbc"), (4, "bbbc")):
        training, validation = hold_out(cases, [], number, source="x")
        assert "".join(case["patient"] for case in validation) == held
        assert training + validation == cases
    with pytest.raises(InputError, match=r"too few training cases \(6\) to hold out 5 for validation"):
        hold_out(cases, [], 5, source="x")


def test_held_out_cases_keep_their_places():
    training, validation = hold_out(case_list(4), case_list(0, "validation"), 0.2, source="x")
    assert training.places == ["training[0]", "training[1]", "training[2]"]
    assert validation.places == ["training[3]"]
    assert validation == [{"image": "training3"}]


def test_places_follow_the_cases():
    one, other = case_list(3), case_list(2, "test")
    both = one[1:] + other
    assert both.places == ["training[1]", "training[2]", "test[0]", "test[1]"]
    assert both == [*one[1:], *other]
    both += one[:1]
    assert both.places[-1] == "training[0]"
    assert (len(one), one.places) == (3, ["training[0]", "training[1]", "training[2]"]), "left as it was"
    assert both.without(other).places == ["training[1]", "training[2]", "training[0]"]
    assert type(one + [{}]) is list, "of the second nothing is known"
    with pytest.raises(ValueError, match="2 places for 1 cases"):
        CaseList([{}], Path("/data"), ["a", "b"])


def test_several_entries_of_a_case_have_its_place():
    def parts(case):
        return [{**case, "part": part} for part in range(int(case["image"][-1]))]

    items = flat_map(case_list(3), parts)
    assert [(item["image"], item["part"]) for item in items] == [
        ("training1", 0),
        ("training2", 0),
        ("training2", 1),
    ]
    assert items.places == ["training[1]", "training[2]", "training[2]"]
    assert items.once().places == ["training[1]", "training[2]"]
    assert [item["part"] for item in items.once()] == [0, 0], "the first of each"
    assert flat_map(list(case_list(3)), parts) == items
    assert type(flat_map(list(case_list(3)), parts)) is list


def test_lists_of_a_run_know_each_other():
    lists = as_lists({"training": case_list(3), "test": case_list(1, "test")})
    for cases in (lists["training"], lists["training"][:1], lists["training"].once()):
        assert cases.lists["test"] is lists["test"]


@pytest.mark.parametrize("again", [copy.deepcopy, lambda cases: pickle.loads(pickle.dumps(cases))])
def test_copies_keep_the_places(again):
    """Configs copy lists; a loader's workers get them pickled."""
    cases = as_lists({"training": case_list(3), "test": case_list(1, "test")})["training"]
    copied = again(cases)
    assert (copied, copied.folder, copied.places) == (cases, cases.folder, cases.places)
    assert copied.lists["test"].places == ["test[0]"]


@pytest.mark.parametrize(
    ("label", "found"), [("a.nii", True), (0, True), (["a.nii"], True), ("", False), ([], False)]
)
def test_a_class_is_a_label_too(label, found):
    assert has_label({"label": label}) is found
    assert not has_label({})
