"""Connected pieces of masks: where kidneys may be, and what is too small or in the wrong place to be kept.

Axes: (D, H, W), spacing in mm in their order.  Pieces are connected by faces, edges or corners.
Source: kits21/docs/method.md#coarse-to-fine; thresholds are not published.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

__all__ = ["clean_regions", "kidney_boxes", "without_small_pieces"]

Box = tuple[slice, ...]
_ALL_NEIGHBOURS = np.ones((3, 3, 3))


def _pieces(mask: np.ndarray, spacing: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Each voxel's piece, 0 outside, and the pieces' volumes in mL, index 0 for the outside."""
    numbered, number = ndimage.label(mask, structure=_ALL_NEIGHBOURS)
    sizes = np.bincount(numbered.ravel(), minlength=number + 1)
    return numbered, sizes * math.prod(spacing) / 1000


def kidney_boxes(
    mask: np.ndarray,
    spacing: Sequence[float],
    shape: Sequence[int],
    *,
    margin_mm: float = 20.0,
    smallest_ml: float = 10.0,
    most: int = 2,
    at_least: Sequence[int] = (1, 1, 1),
) -> list[Box]:
    """Boxes around the largest pieces of a coarse mask, in voxels of a finer grid over the same volume.

    Args:
        mask: bool (D, H, W), the coarse stage's.
        spacing: of the mask.
        shape: voxels of the finer grid.
        margin_mm: around each piece.
        smallest_ml: smaller pieces are no kidneys.
        most: so many boxes at the most, the largest pieces' first.
        at_least: voxels of each side, where the grid has so many: a patch of the fine stage, which in
            training saw what lies around a kidney and not the padding of a smaller box.
    """
    numbered, volumes = _pieces(mask, spacing)
    order = [p for p in np.argsort(-volumes[1:], kind="stable") + 1 if volumes[p] >= smallest_ml]
    found = ndimage.find_objects(numbered)
    boxes = []
    for piece in order[:most]:
        box = []
        sides = zip(found[piece - 1], spacing, mask.shape, shape, at_least, strict=True)
        for part, step, coarse, fine, least in sides:
            margin, scale = margin_mm / step, fine / coarse
            low = max(0, math.floor((part.start - margin) * scale))
            high = min(fine, math.ceil((part.stop + margin) * scale))
            lacking = max(0, least - (high - low))
            low = max(0, min(low - lacking // 2, fine - least))
            box.append(slice(low, min(fine, max(high, low + least))))
        boxes.append(tuple(box))
    return boxes


def without_small_pieces(mask: np.ndarray, spacing: Sequence[float], smallest_ml: float) -> np.ndarray:
    """The mask (D, H, W) without its pieces below a volume."""
    numbered, volumes = _pieces(mask, spacing)
    keep = volumes >= smallest_ml
    keep[0] = False
    return keep[numbered]


def clean_regions(
    regions: np.ndarray,
    spacing: Sequence[float],
    *,
    smallest_ml: Sequence[float] = (10.0, 0.2, 0.2),
) -> np.ndarray:
    """Nested regions as they must be: each within the one before, without small pieces.

    Args:
        regions: bool (3, D, H, W): kidney and mass, mass, tumor.
        spacing: mm.
        smallest_ml: the smallest piece of each region.
    """
    kept = np.zeros_like(regions)
    around: np.ndarray | bool = True
    for r, smallest in enumerate(smallest_ml):
        kept[r] = without_small_pieces(regions[r] & around, spacing, smallest)
        around = kept[r]
    return kept
