"""Folds are those that nnU-Net makes of the same names."""

from __future__ import annotations

import pytest

from common.datasets.lists.folds import fold_of
from common.errors import InputError


def names(number: int) -> list[str]:
    return [f"case_{i:03d}" for i in range(number)]


#: Positions in sorted names, as nnU-Net's seed gives them for 20 cases in five folds, and for 40 in four.
FIVE = [[3, 8, 13, 16], [0, 10, 12, 15], [6, 7, 11, 17], [9, 14, 18, 19], [1, 2, 4, 5]]
FIRST_OF_FOUR = [0, 2, 3, 4, 5, 19, 21, 25, 28, 32]


def test_published_folds():
    assert [fold_of(names(20), fold, source="x")[1] for fold in range(5)] == FIVE
    assert fold_of(names(40), 0, 4, source="x")[1] == FIRST_OF_FOUR
    assert [len(fold_of(names(70), fold, 4, source="x")[1]) for fold in range(4)] == [18, 18, 17, 17]


def test_every_case_is_validated_once():
    for fold in range(4):
        training, validation = fold_of(names(11), fold, 4, source="x")
        assert sorted(training + validation) == list(range(11))
    assert sorted(c for fold in range(4) for c in fold_of(names(11), fold, 4, source="x")[1]) == list(
        range(11)
    )


def test_the_order_of_the_list_does_not_matter():
    """Names are compared as strings: case 10 comes before case 2."""
    listed = [f"case {n}" for n in range(12)]
    training, validation = fold_of(listed, 1, 3, source="x")
    again = fold_of(sorted(listed), 1, 3, source="x")
    assert [listed[c] for c in validation] == [sorted(listed)[c] for c in again[1]]
    assert [listed[c] for c in training] == [sorted(listed)[c] for c in again[0]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((5, 5), "--fold is 5; with --folds 5 expected 0 to 4"),
        ((-1, 5), "--fold is -1; expected a whole number of 0 or more"),
        (("a", 5), "--fold is 'a'"),
        ((0, 1), "--folds is 1; expected a whole number of 2 or more"),
        ((0, 9), r"data\.json: 8 training cases make no 9 folds"),
    ],
)
def test_folds_that_cannot_be_made(options, message):
    with pytest.raises(InputError, match=message):
        fold_of(names(8), *options, source="data.json")


def test_names_must_differ():
    with pytest.raises(InputError, match="two training cases are called case_000"):
        fold_of(names(8) + names(1), 0, source="data.json")
