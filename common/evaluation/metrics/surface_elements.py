"""Surface elements of masks: how much of two surfaces lies within a tolerance, and how far apart they are.

An element sits at every corner shared by 2x2x2 voxels (2x2 pixels) that are not all equal; its area
(length) comes from a table of the 256 (16) neighbourhoods, scaled by the spacing.  The definition is that
of Nikolov et al. 2018 and of MONAI's ``compute_surface_dice(..., use_subvoxels=True)``, whose table is used
here and whose values result; the algorithm is a different one:

- Only the box that holds both masks is processed, and a neighbourhood is coded in bytes, axis by axis.
- A share within a tolerance needs no distance: an element is near the other surface if one of the few grid
  offsets no longer than the tolerance leads to an element of it.  Where there are many such offsets, a tree
  finds the nearest one.

Axes: *S two or three spatial axes; spacing in mm, in the order of the axes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from monai.metrics.utils import get_code_to_measure_table
from scipy.spatial import KDTree

__all__ = ["SurfaceElements", "box_of", "surface_dice", "surface_distances", "surface_elements"]

_MOST_OFFSETS = 512  # above this, a tree is faster than trying them one by one
_FAR = 1 + 1e-6  # a tree's bound is exclusive and compared in float64, tolerances in float32


@dataclass(frozen=True)
class SurfaceElements:
    """The elements of one mask.

    Attributes:
        present: bool (*G), whether there is an element at a corner of the grid.
        position: (N,) their indices in the flattened grid.
        area: (N,) float64, mm^2 (3D) or mm (2D).
    """

    present: np.ndarray
    position: np.ndarray
    area: np.ndarray

    def points(self, spacing: Sequence[float]) -> np.ndarray:
        """(N, dims) their positions in mm."""
        corners = np.stack(np.unravel_index(self.position, self.present.shape), axis=1)
        return corners * np.asarray(spacing, dtype=np.float64)


def box_of(mask: np.ndarray) -> tuple[slice, ...] | None:
    """The smallest box that holds a mask (*S); None where it is empty."""
    box: list[slice] = []
    for axis in range(mask.ndim):
        others = tuple(a for a in range(mask.ndim) if a != axis)
        found = np.flatnonzero(mask.any(axis=others))
        if not found.size:
            return None
        box.append(slice(int(found[0]), int(found[-1]) + 1))
        mask = mask[(slice(None),) * axis + (box[-1],)]  # the next axis only needs to look in here
    return tuple(box)


def surface_elements(
    mask: np.ndarray, spacing: Sequence[float], *, margin: int | Sequence[int] = 1
) -> SurfaceElements:
    """The elements of a mask (*S); ``margin`` empty voxels, at least one, are put around it.

    Raises:
        ValueError: not two or three axes, or not one spacing for each axis.
    """
    if mask.ndim not in (2, 3) or len(spacing) != mask.ndim:
        raise ValueError(f"surface elements: mask of {mask.ndim} axes, {len(spacing)} spacings; need 2 or 3")
    margins = [margin] * mask.ndim if isinstance(margin, int) else list(margin)
    code = np.pad(np.ascontiguousarray(mask, dtype=bool).view(np.uint8), [(m, m) for m in margins])
    # Doubling the width axis by axis gives MONAI's code: the first of two voxels takes the higher bits.
    for bits, axis in zip((1, 2, 4), reversed(range(mask.ndim)), strict=False):
        before = (slice(None),) * axis
        code = (code[(*before, slice(None, -1))] << np.uint8(bits)) | code[(*before, slice(1, None))]
    last = np.uint8(2 ** (2**mask.ndim) - 1)
    present = code - np.uint8(1) < last - np.uint8(1)  # neither 0, which wraps to 255, nor all voxels
    position = np.flatnonzero(present)
    table, _ = get_code_to_measure_table([float(s) for s in spacing])
    area = table.numpy().astype(np.float64)[code.ravel()[position]]
    return SurfaceElements(present, position, area)


def surface_dice(
    prediction: np.ndarray, reference: np.ndarray, *, tolerance: float, spacing: Sequence[float]
) -> float:
    """Share of both surfaces, by area, that lies within a tolerance of the other.

    Args:
        prediction: bool (*S).
        reference: bool (*S).
        tolerance: mm, inclusive.
        spacing: mm.

    Returns:
        from 0 to 1; 0 where one mask is empty, NaN where both are.

    Raises:
        ValueError: the shapes differ, or the tolerance is negative or not finite.
    """
    if prediction.shape != reference.shape:
        raise ValueError(f"surface dice: shapes {prediction.shape} and {reference.shape}; need equal ones")
    if not (math.isfinite(tolerance) and tolerance >= 0):
        raise ValueError(f"surface dice: tolerance {tolerance} mm; need a finite one of at least 0")
    boxes = [box_of(mask) for mask in (prediction, reference)]
    if boxes[0] is None or boxes[1] is None:
        return math.nan if boxes[0] is boxes[1] else 0.0
    box = tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(*boxes, strict=True))
    reach = [int(tolerance * _FAR / s) for s in spacing]
    offsets = _offsets(reach, tolerance, spacing) if _number(reach) <= 8 * _MOST_OFFSETS else None
    by_tree = offsets is None or len(offsets) > _MOST_OFFSETS
    margin = 1 if by_tree else [1 + r for r in reach]
    ours, theirs = (surface_elements(m[box], spacing, margin=margin) for m in (prediction, reference))
    if by_tree:
        points = [one.points(spacing) for one in (ours, theirs)]
        near = [_near_by_tree(a, b, tolerance) for a, b in (points, points[::-1])]
    else:
        strides = np.array([math.prod(ours.present.shape[a + 1 :]) for a in range(len(reach))])
        steps = offsets @ strides
        near = [_near_by_steps(a.position, b.present, steps) for a, b in ((ours, theirs), (theirs, ours))]
    agreeing = ours.area[near[0]].sum() + theirs.area[near[1]].sum()
    return float(agreeing / (ours.area.sum() + theirs.area.sum()))


def surface_distances(
    first: np.ndarray, second: np.ndarray, spacing: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Distance in mm of every surface element to the other mask's nearest one.

    Args:
        first: bool (*S).
        second: bool (*S).
        spacing: mm.

    Returns:
        (N,) from the first to the second and (M,) back, float64; both empty where a mask has no element.
    """
    boxes = [box_of(mask) for mask in (first, second)]
    if boxes[0] is None or boxes[1] is None:
        return np.empty(0), np.empty(0)
    box = tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(*boxes, strict=True))
    a, b = (surface_elements(mask[box], spacing).points(spacing) for mask in (first, second))
    return KDTree(b).query(a)[0], KDTree(a).query(b)[0]


def _number(reach: Sequence[int]) -> int:
    return math.prod(2 * r + 1 for r in reach)


def _offsets(reach: Sequence[int], tolerance: float, spacing: Sequence[float]) -> np.ndarray:
    """(N, dims) grid offsets no longer than the tolerance, the shortest first.

    Lengths are compared in float32, as MONAI compares its distances: a length that equals the tolerance
    on paper counts as within it.
    """
    steps = np.array(list(itertools.product(*[range(-r, r + 1) for r in reach])))
    length = np.sqrt(((steps * np.asarray(spacing, dtype=np.float64)) ** 2).sum(axis=1)).astype(np.float32)
    order = np.argsort(length, kind="stable")
    return steps[order[length[order] <= np.float32(tolerance)]]


def _near_by_steps(position: np.ndarray, other: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Whether one of the steps leads from a position (N,) to an element of the other grid."""
    there = other.ravel()
    near = np.zeros(len(position), bool)
    open_ones = np.arange(len(position))
    for step in steps:
        hit = there[position[open_ones] + step]
        near[open_ones[hit]] = True
        open_ones = open_ones[~hit]
        if not open_ones.size:
            break
    return near


def _near_by_tree(points: np.ndarray, others: np.ndarray, tolerance: float) -> np.ndarray:
    distance, _ = KDTree(others, leafsize=32).query(points, distance_upper_bound=tolerance * _FAR)
    return distance.astype(np.float32) <= np.float32(tolerance)
