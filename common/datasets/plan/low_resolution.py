"""The spacing of nnU-Net's low-resolution stage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["coarsened"]

_PATCHES = 4  # that the median volume may hold
_STEP = 1.01
_APART = 2.0  # axes this much finer than the coarsest are coarsened alone


def coarsened(spacing: Sequence[float], sides: Sequence[float], patch_size: Sequence[int]) -> list[float]:
    """The spacing at which a volume holds four patches at most.

    It grows by 1 % at a time: that of the axes finer than half of the coarsest one while there are any, then
    that of all.

    Args:
        spacing: mm of the full resolution.
        sides: voxels of the median volume at that spacing.
        patch_size: voxels of the low-resolution network's patch.

    Returns:
        mm, in the order of ``spacing``, which stays as it is where the volume is no larger than that.

    Source: nnU-Net version 1, planner "v2.1".
    """
    full, most = np.array(spacing, dtype=float), _PATCHES * float(np.prod(patch_size))
    coarse = full.copy()
    voxels = float(np.prod(sides))
    while voxels * float(np.prod(full / coarse)) > most:
        fine = coarse.max() / coarse > _APART
        coarse[fine if fine.any() else slice(None)] *= _STEP
    return coarse.tolist()
