"""Whether scans to predict are in the units of those that a network was trained on, by their range.

Nothing in a NIfTI file says so, and a network answers whatever it is given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from common.datasets.check.facts import CaseFacts
from common.datasets.check.findings import Finding

__all__ = ["unit_findings"]

_AIR = -200  # HU; a CT has air or fat far below soft tissue
_OFFSET = (1024 - 200, 1024 + 300)  # where soft tissue begins in values stored as HU + 1024
_BYTE = 255  # a window of HU saved in 8 bits ends there


def unit_findings(cases: Sequence[CaseFacts], intensity: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Warnings of scans that are no CT as the plan's were.

    Args:
        cases: with images that can be read.
        intensity: the plan's scheme of each channel (:class:`common.transforms.planned.PlannedIntensityd`);
            only those of CT say in which units the training was.
    """
    for case in cases:
        for low, high, scheme in zip(case.image.low, case.image.high, intensity, strict=False):
            if low is None or scheme["scheme"] != "ct":
                continue
            problem = _problem(low, *scheme["clip"])
            if problem is not None:
                expected, repair = problem
                found = f"has values {low:g} to {high:g}"
                yield Finding(case.name, case.image.files[0], "image", found, expected, repair, "warning")


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
