"""How far apart two grids of equal shape lie."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from nibabel.affines import voxel_sizes

__all__ = ["GRID_TOLERANCE", "grid_distance"]

GRID_TOLERANCE = 0.1  # voxels; header rounding stays below, a half-voxel shift above


def grid_distance(shape: Sequence[int], affine: np.ndarray, other: np.ndarray) -> float:
    """Largest distance between the same corner of two grids, in the first one's shortest voxel side.

    Args:
        shape: voxels of both, (X, Y, Z) or (X, Y).
        affine: (4, 4), voxel index to world in mm.
        other: (4, 4), of the other grid.
    """
    sides = (*shape, 1)[:3]
    corners = np.array([(*corner, 1) for corner in product(*((0, side - 1) for side in sides))])
    apart = corners @ (np.asarray(affine) - np.asarray(other)).T
    return float(np.linalg.norm(apart[:, :3], axis=1).max() / min(voxel_sizes(np.asarray(affine))))
