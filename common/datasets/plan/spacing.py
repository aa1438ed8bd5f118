"""The spacing of a plan: as given, or as the cases and the network's resolution ask for."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from common.datasets.check.facts import CaseFacts
from common.datasets.lists.modalities import modality_name
from common.datasets.plan.low_resolution import coarsened
from common.datasets.plan.options import PlanOptions
from common.datasets.plan.target_spacing import median_sides, target_spacing
from common.errors import InputError

__all__ = ["spacing_of"]

_log = logging.getLogger(__name__)
_DECIMALS = 6


def spacing_of(facts: Sequence[CaseFacts], options: PlanOptions) -> list[float] | None:
    """The spacing along the axes of ``options.axcodes``, in mm; None for pictures.

    Args:
        facts: of the training cases of one modality.
        options: of the plan.

    Raises:
        InputError: the spacing given is no three lengths above 0, or none for this modality.
    """
    if options.spacing is not None:
        return _checked(_given(options.spacing, facts[0].modality if facts else ""))
    volumes = [one.image for one in facts if one.image.affine and len(one.image.shape) == 3]
    if not volumes:
        return None
    spacing = target_spacing(volumes, options.axcodes)
    if options.low_resolution is None:
        return spacing
    coarse = coarsened(spacing, median_sides(volumes, options.axcodes, spacing), options.low_resolution)
    if coarse == spacing:
        _log.warning(
            "the median volume holds no more than four patches of %s voxels: its low resolution is the full "
            "one, %s mm, unless --patch_size is smaller",
            list(options.low_resolution),
            spacing,
        )
    return [round(mm, _DECIMALS) for mm in coarse]


def _given(spacing: Sequence[float] | Mapping[str, Sequence[float]], modality: str) -> Any:
    if not isinstance(spacing, Mapping):
        return spacing
    of_each = {modality_name(str(name)): mm for name, mm in spacing.items()}
    if modality not in of_each:
        cases = f"of modality {modality}" if modality else "that do not name their modality"
        raise InputError(
            f"spacing = {dict(spacing)}; nothing for cases {cases}: add it, or give one list for all"
        )
    return of_each[modality]


def _checked(spacing: Any) -> list[float]:
    try:
        lengths = [float(mm) for mm in spacing]
    except (TypeError, ValueError):
        lengths = []
    if len(lengths) != 3 or not all(0 < mm < float("inf") for mm in lengths):
        raise InputError(
            f"spacing = {spacing}; expected three lengths above 0 in mm, such as [3, 0.76, 0.76]"
        )
    return [round(mm, _DECIMALS) for mm in lengths]
