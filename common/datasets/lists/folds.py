"""The folds of a cross-validation, divided as nnU-Net does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from common.checkpoints.folds import require_fold
from common.datasets.lists.case_list import CaseList
from common.datasets.lists.output_names import base_name
from common.datasets.lists.patients import patients_of
from common.errors import InputError

__all__ = ["fold_positions", "hold_out_fold"]

_SEED = 12345  # nnU-Net's


def fold_positions(cases: int, fold: int, *, folds: int = 5) -> list[int]:
    """Places, from 0, of a fold's cases among their names sorted as strings, in ascending order.

    They are those of scikit-learn's ``KFold(folds, shuffle=True, random_state=12345)``, as nnU-Net splits.
    """
    order = np.arange(cases)
    np.random.RandomState(_SEED).shuffle(order)
    return sorted(np.array_split(order, folds)[fold].tolist())


def hold_out_fold(
    training: CaseList, validation: CaseList, fold: int, folds: int, *, source: str | Path
) -> tuple[CaseList, CaseList]:
    """The cases to train on and those of one fold, which take the place of the validation list.

    All cases of both lists are divided, by their files' names without suffix; where cases name a ``patient``,
    that is divided in the place of its cases.  Both results keep the order of dataset.json.

    Args:
        training: list of dataset.json.
        validation: likewise; may be empty.
        fold: its number, from 0.
        folds: how many there are.
        source: the dataset.json, for errors.

    Raises:
        InputError: there is no such fold, or there are fewer cases or patients than folds.
    """
    require_fold(fold, folds)
    cases = training + validation
    units = patients_of(cases)
    names: dict[Any, str] = {}
    for case, unit in zip(cases, units, strict=True):
        names.setdefault(unit, unit if isinstance(unit, str) else _name(case))
    if len(names) < folds:
        counted = "cases" if len(names) == len(cases) else "patients"
        raise InputError(
            f"{source}: lists {len(names)} {counted} to divide; expected at least {folds}, one for each fold"
        )
    by_name = sorted(names, key=names.__getitem__)
    held = {by_name[place] for place in fold_positions(len(by_name), fold, folds=folds)}
    numbers = iter(units)
    chosen = cases.flat_map(lambda case: [case] if next(numbers) in held else [])
    return cases.without(chosen), chosen


def _name(case: Mapping[str, Any]) -> str:
    file = case["image"] if "image" in case else case["moving"]
    return base_name(file if isinstance(file, str) else file[0])
