"""Cases of one patient stay together: the key ``patient`` of a case's entry in dataset.json.

A case without the key is a patient of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.datasets.lists.case_list import CaseList
from common.errors import InputError

__all__ = ["check_patients", "count_patients", "length_of_patients", "patients_of"]


def patients_of(cases: Sequence[Any]) -> list[Any]:
    """The patient of every case: what stands under ``patient``, else something that no other case has."""
    named = [case.get("patient") if isinstance(case, Mapping) else None for case in cases]
    return [number if name is None else str(name) for number, name in enumerate(named)]


def count_patients(cases: Sequence[Any]) -> int:
    """How many patients the cases are of."""
    return len(set(patients_of(cases)))


def length_of_patients(cases: Sequence[Any], number: int) -> int:
    """How many cases, counted from the first, are those of the first ``number`` patients.

    All cases if there are fewer patients.  The cases of a patient must follow one another.
    """
    groups = [len([*group]) for _, group in itertools.groupby(patients_of(cases))]
    return sum(groups[: max(0, number)])


def check_patients(lists: Mapping[str, CaseList], source: Path) -> None:
    """Check that no patient is in two lists, and that the cases of each follow one another.

    Raises:
        InputError: a patient's cases are apart.
    """
    owner: dict[str, str] = {}
    for name, cases in lists.items():
        before = None
        for patient, place in zip(patients_of(cases), cases.places, strict=True):
            if isinstance(patient, str) and patient != before and patient in owner:
                raise InputError(
                    f"{source}: {place} is of the patient {patient}, as are cases in {owner[patient]}; "
                    f"expected all cases of a patient in one list, one after the other: move them together"
                )
            before = patient
            if isinstance(patient, str):
                owner[patient] = name
