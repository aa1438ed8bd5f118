"""The folds of nnU-Net's cross-validation."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from common.datasets.lists.case_list import CaseList, as_lists
from common.datasets.lists.datalist import DATALIST, read_datalist
from common.errors import InputError

__all__ = ["fold_datalist", "fold_positions"]

_SEED = 12345  # nnU-Net's


def fold_positions(cases: int, fold: int, *, folds: int = 5) -> list[int]:
    """Places, from 0, of a fold's cases among their names sorted as strings, in ascending order.

    They are those of scikit-learn's ``KFold(folds, shuffle=True, random_state=12345)``, as nnU-Net splits.
    """
    order = np.arange(cases)
    np.random.RandomState(_SEED).shuffle(order)
    return sorted(np.array_split(order, folds)[fold].tolist())


def fold_datalist(dataset_dir: str | Path, *, fold: int, folds: int = 5) -> dict[str, CaseList]:
    """The lists of one fold: its cases are the ``test`` list, all others are trained on.

    Nothing is validated on.  The cases are those of dataset.json's training and validation lists; its test
    list is left out.

    Args:
        dataset_dir: folder with dataset.json.
        fold: its number, from 0.
        folds: how many there are.

    Raises:
        InputError: as :func:`common.datasets.read_datalist`; also a fold that does not exist, or fewer cases
            than folds.
    """
    lists = read_datalist(dataset_dir, holdout=0)
    cases = lists["training"] + lists["validation"]
    path = Path(dataset_dir).absolute() / DATALIST
    if isinstance(fold, bool) or not isinstance(fold, int) or not 0 <= fold < folds:
        raise InputError(f"fold = {fold!r}; expected a whole number from 0 to {folds - 1}")
    if len(cases) < folds:
        raise InputError(f"{path}: lists {len(cases)} cases; expected at least {folds}, one for each fold")
    by_name = sorted(range(len(cases)), key=lambda number: _name(cases[number]))
    held = {by_name[place] for place in fold_positions(len(cases), fold, folds=folds)}
    numbers = iter(range(len(cases)))
    test = cases.flat_map(lambda case: [case] if next(numbers) in held else [])
    return as_lists({"training": cases.without(test), "validation": cases[:0], "test": test})


def _name(case: dict) -> str:
    image = case["image"]
    return Path(image if isinstance(image, str) else image[0]).name
