"""nnU-Net's folds, against the positions that its documentation prints and scikit-learn gives."""

from __future__ import annotations

import json

import pytest

from common.datasets import fold_datalist
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


def test_lists_of_a_fold(folder):
    names = sorted(f"c{number}" for number in range(20))  # c0, c1, c10, ...
    lists = fold_datalist(folder, fold=1)
    found = {key: [case["image"].split("/")[-1][:-7] for case in cases] for key, cases in lists.items()}
    assert sorted(found["test"]) == [names[place] for place in OF_20[1]]
    assert found["validation"] == []
    assert sorted(found["training"] + found["test"]) == names
    assert lists["test"].lists is lists["training"].lists
    assert "training[0]" in lists["test"].places, "cases keep their places in dataset.json"


@pytest.mark.parametrize("fold", [5, -1, True, 1.0, None])
def test_a_fold_that_does_not_exist(folder, fold):
    with pytest.raises(InputError, match=f"fold = {fold!r}; expected a whole number from 0 to 4"):
        fold_datalist(folder, fold=fold)


def test_more_folds_than_cases(folder):
    with pytest.raises(InputError, match="lists 20 cases; expected at least 21, one for each fold"):
        fold_datalist(folder, fold=0, folds=21)
