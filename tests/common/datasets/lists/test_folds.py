"""nnU-Net's folds, against the positions that its documentation prints and scikit-learn gives."""

from __future__ import annotations

import json

import pytest

from common.datasets import domain_datalist, read_datalist, semi_supervised_datalist
from common.datasets.lists.folds import fold_positions
from common.errors import InputError

OF_20 = [[3, 8, 13, 16], [0, 10, 12, 15], [6, 7, 11, 17], [9, 14, 18, 19], [1, 2, 4, 5]]
OF_25 = [[8, 13, 16, 19, 21], [3, 10, 12, 15, 17], [0, 6, 7, 11, 18], [14, 20, 22, 23, 24], [1, 2, 4, 5, 9]]


@pytest.mark.parametrize(("cases", "expected"), [(20, OF_20), (25, OF_25)])
def test_positions(cases, expected):
    assert [fold_positions(cases, fold) for fold in range(5)] == expected


def test_every_one_of_300_cases_is_in_one_fold():
    folds = [fold_positions(300, fold) for fold in range(5)]
    assert folds[0][:5] == [10, 11, 16, 18, 20]
    assert [len(fold) for fold in folds] == [60] * 5
    assert sorted(place for fold in folds for place in fold) == list(range(300))


def test_folds_of_unequal_size_begin_with_the_larger_ones():
    assert [len(fold_positions(70, fold, folds=4)) for fold in range(4)] == [18, 18, 17, 17]


@pytest.fixture
def folder(tmp_path):
    """Twenty cases, which as strings sort otherwise than as listed; three are in the validation list."""
    entries = [{"image": f"imagesTr/c{number}.nii.gz"} for number in range(20)]
    lists = {"training": entries[:17], "validation": entries[17:], "test": ["imagesTs/x.nii.gz"]}
    (tmp_path / "dataset.json").write_text(json.dumps(lists))
    return tmp_path


def stems(cases) -> list[str]:
    return [case["image"].split("/")[-1][:-7] for case in cases]


def test_lists_of_a_fold(folder):
    """Names are sorted as strings: c0, c1, c10, ...; the cases keep the order of dataset.json."""
    names = sorted(f"c{number}" for number in range(20))
    held = {names[place] for place in OF_20[1]}
    listed = [f"c{number}" for number in range(20)]
    lists = read_datalist(folder, fold=1)
    assert stems(lists["validation"]) == [name for name in listed if name in held]
    assert stems(lists["training"]) == [name for name in listed if name not in held]
    assert stems(lists["test"]) == ["x"]
    assert lists["validation"].lists is lists["training"].lists
    assert "training[0]" in lists["validation"].places, "cases keep their places in dataset.json"


def test_names_are_sorted_without_suffix(tmp_path):
    """The suffix begins with a point, which comes behind a hyphen: case before case-2."""
    names = ["a", "a-2", "b", "b-2"]
    entries = [{"image": f"{name}.nii.gz"} for name in names]
    (tmp_path / "dataset.json").write_text(json.dumps({"training": entries}))
    for fold in range(2):
        held = stems(read_datalist(tmp_path, fold=fold, folds=2)["validation"])
        assert held == [names[place] for place in fold_positions(4, fold, folds=2)]


def test_patients_are_divided_whole(tmp_path):
    """Ten patients with one to three scans: they are divided as ten cases of their names are."""
    entries = [
        {"image": f"s{patient}_{scan}.nii.gz", "patient": f"p{patient}"}
        for patient in range(10)
        for scan in range(1 + patient % 3)
    ]
    (tmp_path / "dataset.json").write_text(json.dumps({"training": entries}))
    for fold in range(5):
        held = {case["patient"] for case in read_datalist(tmp_path, fold=fold)["validation"]}
        left = {case["patient"] for case in read_datalist(tmp_path, fold=fold)["training"]}
        assert held == {f"p{place}" for place in fold_positions(10, fold)}
        assert not held & left
    with pytest.raises(InputError, match="lists 10 patients to divide; expected at least 11"):
        read_datalist(tmp_path, fold=0, folds=11)


@pytest.mark.parametrize("fold", [5, -1, True, 1.0, "1"])
def test_a_fold_that_does_not_exist(folder, fold):
    with pytest.raises(
        InputError, match=rf"fold = {fold!r}; expected a whole number from 0 to 4 \(folds = 5"
    ):
        read_datalist(folder, fold=fold)


def test_more_folds_than_cases(folder):
    with pytest.raises(InputError, match="lists 20 cases to divide; expected at least 21, one for each fold"):
        read_datalist(folder, fold=0, folds=21)
    with pytest.raises(InputError, match="folds = 1; expected a whole number from 2 on"):
        read_datalist(folder, fold=0, folds=1)


def test_few_labels_count_what_a_fold_leaves(tmp_path):
    """Twenty cases of which every other has a label; the fold's labelled ones are the validation list."""
    entries = [{"image": f"{number:02}.nii.gz"} for number in range(20)]
    for entry in entries[::2]:
        entry["label"] = entry["image"]
    entries = entries[::2] + entries[1::2]
    (tmp_path / "dataset.json").write_text(json.dumps({"training": entries}))
    held = [f"{place:02}" for place in OF_20[1]]
    lists = semi_supervised_datalist(tmp_path, num_labelled=3, holdout=4, fold=1)
    assert stems(lists["validation"]) == [name for name in held if int(name) % 2 == 0]
    assert not set(stems(lists["training"])) & set(held)
    labelled = [case for case in lists["training"] if "label" in case]
    assert stems(labelled) == ["02", "04", "06"]
    assert len(lists["training"]) == 16
    for entry in entries:
        if entry["image"][:2] in held:
            entry.pop("label", None)
    (tmp_path / "dataset.json").write_text(json.dumps({"training": entries}))
    with pytest.raises(InputError, match="none of the 4 cases of fold 1 has a label"):
        semi_supervised_datalist(tmp_path, fold=1)


def test_domains_are_divided_together(tmp_path):
    entries = [{"image": f"{number:02}.png", "domain": "ABCD"[number % 4]} for number in range(40)]
    lists = {"training": entries[:20], "validation": entries[20:24], "test": entries[24:]}
    (tmp_path / "dataset.json").write_text(json.dumps(lists))
    found = [domain_datalist(tmp_path, source_domains=["A", "B"], fold=fold) for fold in range(5)]
    for lists in found:
        assert len(lists["training"]) == 16
        assert len(lists["validation"]) == 4
        assert {case["domain"] for case in lists["test"]} == {"C", "D"}
    held = [case["image"] for lists in found for case in lists["validation"]]
    assert len(set(held)) == 20
    assert len(domain_datalist(tmp_path, fold=0)["validation"]) == 5, "of 24 cases"
