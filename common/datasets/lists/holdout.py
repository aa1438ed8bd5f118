"""The hold-out rule: which cases the weights are chosen on where a data set has no validation list."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from common.errors import InputError

__all__ = ["hold_out"]

Cases = TypeVar("Cases", bound=Sequence)


def hold_out(
    training: Cases, validation: Cases, share: float, *, source: str | Path, counted: str = "training cases"
) -> tuple[Cases, Cases]:
    """The cases to train on and those to validate on.

    The last ``max(1, round(share * n))`` of the n training cases become the validation list, the same ones
    every time.  Where there is a validation list already, or ``share`` is 0, both lists stay as they are.

    Args:
        training: what may be held out, in the order of dataset.json.
        validation: the list in dataset.json; may be empty.
        share: share of the training cases to hold out.
        source: the dataset.json, for the error.
        counted: what ``training`` holds, for the error: "labelled cases".

    Raises:
        InputError: no case would be left to train on.
    """
    if validation or share <= 0:
        return training, validation
    number = len(training)
    held = max(1, round(share * number))
    if held >= number:
        raise InputError(
            f"{source}: too few {counted} ({number}) to hold out a share of {share:g} for validation; "
            f'expected at least one left to train on: add {counted}, or list some under "validation"'
        )
    return training[:-held], training[-held:]
