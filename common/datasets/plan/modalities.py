"""A plan for images of several modalities, and what it holds for one of them.

Such a plan has ``spacing`` and ``intensity`` for each modality by name, where any other has one of each.  A
plan of cases that all name the same modality has it under ``modality``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from common.datasets.lists.case_list import flat_map, places_of
from common.datasets.lists.modalities import modality_of_case
from common.errors import InputError

__all__ = [
    "is_by_modality",
    "of_modality",
    "planned_cases",
    "planned_modalities",
    "refuse_other_modalities",
    "schemes_for",
]

_log = logging.getLogger(__name__)

Planned = TypeVar("Planned")


def is_by_modality(planned: Any) -> bool:
    """Whether a plan's ``spacing`` or ``intensity`` is a mapping from the modality's name."""
    return isinstance(planned, Mapping)


def of_modality(planned: Mapping[str, Planned], name: str, what: str) -> Planned:
    """What a mapping by modality holds for one of them.

    Args:
        planned: by name in capitals.
        name: in capitals; empty where nothing says what an image is.
        what: the image, for the error.

    Raises:
        InputError: there is nothing for it.
    """
    if name in planned:
        return planned[name]
    found = f"its modality is {name}" if name else "nothing says of which modality it is"
    repair = "leave it out" if name else 'say which with --modality, or under "modality" in its entry'
    raise InputError(f"{what}: {found}; the weights were trained on {' and '.join(planned)}: {repair}")


def planned_modalities(plan: Mapping[str, Any]) -> list[str]:
    """The modalities that a plan was made for, in capitals.

    Where its cases did not name theirs, it is CT if a channel is scaled as such, and any other is unknown.
    """
    intensity = plan.get("intensity", [])
    if is_by_modality(intensity):
        return list(intensity)
    if plan.get("modality"):
        return [plan["modality"]]
    return ["CT"] if any(scheme["scheme"] == "ct" for scheme in intensity) else []


def schemes_for(plan: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    """The intensity scheme of each channel of an image of this modality; none for one that is not planned."""
    intensity = plan.get("intensity", [])
    return intensity.get(name, []) if is_by_modality(intensity) else intensity


def planned_cases(
    cases: Sequence[Mapping[str, Any]], plan: Mapping[str, Any], source: str | Path
) -> list[dict[str, Any]]:
    """The cases but those of a modality that the plan does not have, or all where none is left.

    Args:
        cases: to predict.
        plan: of the weights.
        source: the dataset.json, for the log.
    """
    known = planned_modalities(plan)
    left_out = {modality_of_case(case) for case in cases} - {"", *known}
    kept = flat_map(cases, lambda case: [] if modality_of_case(case) in left_out else [dict(case)])
    if not known or not left_out or not kept:
        return flat_map(cases, lambda case: [dict(case)])
    _log.warning(
        "%s: %d of %d cases are left out: they are %s, and the weights were trained on %s",
        source,
        len(cases) - len(kept),
        len(cases),
        " and ".join(sorted(left_out)),
        " and ".join(known),
    )
    return kept


def refuse_other_modalities(
    cases: Sequence[Mapping[str, Any]], plan: Mapping[str, Any], source: str | Path, section: str = "test"
) -> None:
    """Stop where a case says that it is of a modality which the weights never saw.

    Args:
        cases: to predict or to score.
        plan: of the weights.
        source: the dataset.json, for the error.
        section: the list that the cases are in.

    Raises:
        InputError: the first such case is named.  So it is where the plan has several and a case names none.
    """
    known = planned_modalities(plan)
    for case, place in zip(cases, places_of(cases, section), strict=True):
        name = modality_of_case(case)
        if known and (name or len(known) > 1):
            of_modality(dict.fromkeys(known), name, f"{source}: {place}")
