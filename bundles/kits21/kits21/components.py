"""Connected components of masks: where the kidneys are, and what is too small or misplaced to keep.

Axes: (D, H, W), spacing in mm in their order.  Components connect through faces, edges or corners.
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
    """Each voxel's component, 0 outside, and the components' volumes in mL, index 0 for the outside."""
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
    """Boxes around the largest components of a coarse mask, in voxels of a finer grid of the same volume.

    Args:
        mask: bool (D, H, W), the coarse stage's.
        spacing: of the mask.
        shape: voxels of the finer grid.
        margin_mm: around each component.
        smallest_ml: smaller components are not kidneys.
        most: maximum number of boxes, largest components first.
        at_least: minimum voxels per side, if the grid has as many: a patch of the fine stage, which in
            training saw a kidney's surroundings and not the padding of a smaller box.
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
    """The mask (D, H, W) without components below a volume."""
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
    """Nested regions made consistent: each within the one before, without small components.

    Args:
        regions: bool (3, D, H, W): kidney and mass, mass, tumor.
        spacing: mm.
        smallest_ml: volume of the smallest component kept in each region.
    """
    kept = np.zeros_like(regions)
    around: np.ndarray | bool = True
    for r, smallest in enumerate(smallest_ml):
        kept[r] = without_small_pieces(regions[r] & around, spacing, smallest)
        around = kept[r]
    return kept
