"""Where a phantom's scan lies in the scanner."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["scanner_affine"]

_LAS_TO_WORLD = (-1, 1, 1)  # NIfTI's world is RAS+


def scanner_affine(
    shape: Sequence[int],
    spacing: np.ndarray,
    rng: np.random.Generator,
    *,
    middle: Sequence[Sequence[float]] = ((-15.0, -40.0, -900.0), (15.0, 60.0, 300.0)),
) -> np.ndarray:
    """(4, 4), voxel index to RAS+ mm, of a scan stored as LAS somewhere in the scanner.

    Args:
        shape: voxels (X, Y, Z).
        spacing: (3,) mm.
        rng: draws the place.
        middle: lowest and highest place of the scan's middle, in mm.
    """
    step = spacing * _LAS_TO_WORLD
    affine = np.diag([*step, 1.0])
    affine[:3, 3] = rng.uniform(*middle) - (np.asarray(shape) - 1) / 2 * step
    return affine
