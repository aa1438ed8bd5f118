"""CT and MR in one data set: what each case was taken with, where its entry says so under ``modality``.

Names are compared in capitals: "ct" is CT.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.datasets.lists.case_list import CaseList, as_lists
from common.errors import InputError

__all__ = ["modality_of_case", "modality_name", "only_modality"]


def modality_name(text: str) -> str:
    """A modality's name as it is compared and planned with."""
    return text.strip().upper()


def modality_of_case(case: Mapping[Any, Any]) -> str:
    """The name in capitals; empty where the entry of the case says nothing."""
    named = case.get("modality")
    return modality_name(named) if isinstance(named, str) else ""


def only_modality(lists: Mapping[str, CaseList], modality: str | None, source: Path) -> dict[str, CaseList]:
    """The cases of one modality in each list of a run; all of them for None, or where no case names its own.

    Args:
        lists: the lists by name.
        modality: the name.
        source: the dataset.json, for the error.

    Raises:
        InputError: no case of the data set has it.
    """
    found = {modality_of_case(case) for cases in lists.values() for case in cases} - {""}
    if modality is None or not found:
        return dict(lists)
    wanted = modality_name(modality)
    if wanted not in found:
        raise InputError(
            f"{source}: no case of modality {modality}; found {', '.join(sorted(found))}: correct "
            f'--modality, or the "modality" of the entries'
        )
    return as_lists(
        {
            name: cases.flat_map(lambda case: [case] if modality_of_case(case) == wanted else [])
            for name, cases in lists.items()
        }
    )
