"""Checks of the phantoms' arguments; errors are one line: what was given, and what is expected."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from common.errors import InputError

__all__ = ["require_grid", "require_seed", "require_side"]

_MAX_VOXELS = 512**3


def require_grid(
    name: str, shape: Sequence[int], spacing: Sequence[float], *, least: int = 1
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Shape in voxels (X, Y, Z) and spacing in mm (X, Y, Z), both as tuples.

    Args:
        name: name of the phantom, for the error message.
        shape: at least ``least`` voxels per side, at most 512^3 in all.
        spacing: above 0 and below 100 mm.
        least: fewest voxels accepted along a side.

    Raises:
        InputError: out of range.
    """
    shape, spacing = tuple(shape), tuple(spacing)
    if len(shape) != 3 or not all(isinstance(n, int) and n >= least for n in shape):
        raise InputError(
            f"{name}: shape={shape}; expected three whole numbers of voxels from {least}, "
            "such as (64, 48, 32)"
        )
    if np.prod(shape, dtype=float) > _MAX_VOXELS:
        raise InputError(f"{name}: shape={shape} has more than {_MAX_VOXELS} voxels; choose a coarser grid")
    if len(spacing) != 3 or not all(0 < s < 100 for s in spacing):
        raise InputError(f"{name}: spacing={spacing}; expected three lengths in mm, such as (2.0, 2.0, 2.0)")
    return shape, spacing


def require_side(name: str, size: int, sides: tuple[int, int], unit: str) -> None:
    """Check the side of a picture: whole pixels or voxels, from the first of ``sides`` to the last.

    Raises:
        InputError: out of range.
    """
    if not isinstance(size, int) or not sides[0] <= size <= sides[1]:
        raise InputError(f"{name}: size={size!r}; expected whole {unit} from {sides[0]} to {sides[1]}")


def require_seed(name: str, seed: int) -> None:
    """Check that the seed is a whole number from 0.

    Raises:
        InputError: it is not.
    """
    if not isinstance(seed, int) or seed < 0:
        raise InputError(f"{name}: seed={seed!r}; expected a whole number from 0")
