"""The hold-out rule: which cases the weights are chosen on where a data set has no validation list."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from common.datasets.lists.patients import patients_of
from common.errors import InputError

__all__ = ["held_of", "hold_out"]

Cases = TypeVar("Cases", bound=Sequence)


def hold_out(
    training: Cases, validation: Cases, share: float, *, source: str | Path, counted: str = "training cases"
) -> tuple[Cases, Cases]:
    """The cases to train on and those to validate on.

    The last ``max(1, round(share * n))`` of the n training cases become the validation list, the same ones
    every time; a whole number of 1 or more holds out that many.  No patient is split: where the cut would,
    all cases of that patient are held out.  Where there is a validation list already, or ``share`` is 0, both
    lists stay as they are.

    Args:
        training: what may be held out, in the order of dataset.json.
        validation: the list in dataset.json; may be empty.
        share: share of the training cases to hold out, or their number.
        source: the dataset.json, for the error.
        counted: what ``training`` holds, for the error: "labelled cases".

    Raises:
        InputError: no case would be left to train on.
    """
    if validation or share <= 0:
        return training, validation
    number = len(training)
    patients = patients_of(training)
    cut = number - held_of(share, number)
    while cut > 0 and cut < number and patients[cut] == patients[cut - 1]:
        cut -= 1
    if cut <= 0:
        what = f"a share of {share:g}" if share < 1 else f"{share:g}"
        raise InputError(
            f"{source}: too few {counted} ({number}) to hold out {what} for validation; "
            f'expected at least one left to train on: add {counted}, or list some under "validation"'
        )
    return training[:cut], training[cut:]


def held_of(share: float, number: int) -> int:
    """How many of ``number`` cases a share holds out; a share of 1 or more is itself a number of cases."""
    return int(share) if share >= 1 else max(1, round(share * number))
