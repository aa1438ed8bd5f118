"""Whether scans to predict are in the units of those that a network was trained on, by their range.

Nothing in a NIfTI file says so, and a network answers whatever it is given.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from common.datasets.check.facts import CaseFacts
from common.datasets.check.findings import Finding

__all__ = ["unit_findings", "warn_of_other_units"]

logger = logging.getLogger(__name__)

Schemes = Sequence[Mapping[str, Any]]
Intensity = Schemes | Mapping[str, Schemes]

_AIR = -200  # HU; a CT has air or fat far below soft tissue
_OFFSET = (1024 - 200, 1024 + 300)  # where soft tissue begins in values stored as HU + 1024
_BYTE = 255  # a window of HU saved in 8 bits ends there


def unit_findings(cases: Sequence[CaseFacts], intensity: Intensity) -> Iterator[Finding]:
    """Warnings of scans that are no CT as the plan's were.

    Args:
        cases: with images that can be read.
        intensity: the plan's scheme of each channel (:class:`common.transforms.planned.PlannedIntensityd`),
            or these for each modality by name; only those of CT say in which units the training was.
    """
    for case in cases:
        schemes = intensity.get(case.modality, ()) if isinstance(intensity, Mapping) else intensity
        for low, high, scheme in zip(case.image.low, case.image.high, schemes, strict=False):
            if low is None or scheme["scheme"] != "ct":
                continue
            problem = _problem(low, *scheme["clip"])
            if problem is not None:
                expected, repair = problem
                found = f"has values {low:g} to {high:g}"
                yield Finding(case.name, case.image.files[0], "image", found, expected, repair, "warning")


def warn_of_other_units(
    cases: Sequence[CaseFacts], plan: Mapping[str, Any], dataset_json: str | Path
) -> None:
    """One line to the log: the first of :func:`unit_findings`, and how many there are.

    Args:
        cases: to predict or to score.
        plan: of the weights.
        dataset_json: that lists them.
    """
    found = list(unit_findings(cases, plan.get("intensity", ())))
    if found:
        counted = f"{len(found)} of {len(cases)} scans"
        logger.warning("%s. %s (%s)", found[0].line(dataset_json), found[0].repair, counted)


def _problem(low: float, first: float, last: float) -> tuple[str, str] | None:
    """Expected and repair for an image from ``low`` on; structures lay from ``first`` to ``last``."""
    stored_with_offset = _OFFSET[0] < first < _OFFSET[1]
    if stored_with_offset and low < _AIR:
        return (
            f"CT stored as HU + 1024, as in training (structures from {first:g} to {last:g})",
            "Predict the scan as it was stored, or add 1024",
        )
    in_a_window = first >= 0 and last <= _BYTE
    if not stored_with_offset and not in_a_window and low >= 0:
        return (
            f"CT in HU with air or fat below 0, as in training (structures from {first:g} to {last:g})",
            "If it is a CT stored unsigned, subtract the offset (mostly 1024); for another modality these "
            "weights are worthless",
        )
    return None
