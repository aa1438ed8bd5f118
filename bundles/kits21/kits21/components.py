"""Pieces of masks that are too small or misplaced to keep.

Axes: (D, H, W), spacing in mm in their order.
Source: kits21/docs/method.md#coarse-to-fine; thresholds are not published.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from common.inference.two_stages import pieces

__all__ = ["clean_regions", "without_small_pieces"]


def without_small_pieces(mask: np.ndarray, spacing: Sequence[float], smallest_ml: float) -> np.ndarray:
    """The mask (D, H, W) without pieces below a volume."""
    numbered, volumes = pieces(mask, spacing)
    keep = volumes >= smallest_ml
    keep[0] = False
    return keep[numbered]


def clean_regions(
    regions: np.ndarray,
    spacing: Sequence[float],
    *,
    smallest_ml: Sequence[float] = (10.0, 0.2, 0.2),
) -> np.ndarray:
    """Nested regions made consistent: each within the one before, without small pieces.

    Args:
        regions: bool (3, D, H, W): kidney and mass, mass, tumor.
        spacing: mm.
        smallest_ml: volume of the smallest piece kept in each region.
    """
    kept = np.zeros_like(regions)
    around: np.ndarray | bool = True
    for r, smallest in enumerate(smallest_ml):
        kept[r] = without_small_pieces(regions[r] & around, spacing, smallest)
        around = kept[r]
    return kept
