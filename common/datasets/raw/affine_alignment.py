"""One CT laid on another by the affine map under which they correlate best.

Axes: (X, Y, Z), index to place by an affine (4, 4), RAS+ mm.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

__all__ = ["affine_map", "resampled"]

_COARSE = 40  # points along each axis on which the images are compared
_STEPS, _RATE = 150, 0.02
_SHIFT = 60.0  # mm; what 1 means in a translation's parameters
_WINDOW = (-200.0, 600.0)  # HU: fat to bone and contrast


def affine_map(
    fixed: np.ndarray, fixed_affine: np.ndarray, moving: np.ndarray, moving_affine: np.ndarray
) -> np.ndarray:
    """The affine map (4, 4) from places in the fixed CT to places in the moving one, RAS+ mm.

    It begins with the middles on each other; Adam then raises the correlation of both images, clipped to soft
    tissue and bone, on a coarse grid over the fixed one.

    Args:
        fixed: (X, Y, Z) HU.
        fixed_affine: of it.
        moving: (X', Y', Z') HU.
        moving_affine: of it.
    """
    points, middle = _places(fixed.shape, fixed_affine)
    _, start = _places(moving.shape, moving_affine)
    target = _sampled(_coarse(fixed), fixed_affine, fixed.shape, points)
    source = _coarse(moving)
    linear = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    shift = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([linear, shift], lr=_RATE)
    best, kept = -np.inf, (linear.detach().clone(), shift.detach().clone())
    for _ in range(_STEPS):
        moved = start + _SHIFT * shift + (points - middle) @ (torch.eye(3).double() + linear).T
        found = _sampled(source, moving_affine, moving.shape, moved)
        likeness = torch.corrcoef(torch.stack([target, found]))[0, 1]
        if not torch.isfinite(likeness):
            break
        if likeness.item() > best:
            best, kept = likeness.item(), (linear.detach().clone(), shift.detach().clone())
        optimizer.zero_grad()
        (-likeness).backward()
        optimizer.step()
    matrix = np.eye(4)
    matrix[:3, :3] += kept[0].numpy()
    matrix[:3, 3] = start.numpy() + _SHIFT * kept[1].numpy() - matrix[:3, :3] @ middle.numpy()
    return matrix


def resampled(
    array: np.ndarray,
    affine: np.ndarray,
    shape: tuple[int, int, int],
    onto: np.ndarray,
    through: np.ndarray,
    *,
    order: int,
) -> np.ndarray:
    """A volume on another grid, float32; beyond its own, its lowest value.

    Args:
        array: (X, Y, Z).
        affine: of it.
        shape: of the other grid.
        onto: affine of the other grid.
        through: map (4, 4) from places on the other grid to places in the volume, RAS+ mm.
        order: 1 linear, 0 nearest.
    """
    index = np.linalg.inv(affine) @ through @ onto
    lowest = float(array.min())
    return ndimage.affine_transform(
        array, index[:3, :3], index[:3, 3], output_shape=shape, output=np.float32, order=order, cval=lowest
    )


def _places(shape: tuple[int, ...], affine: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Points (N, 3) spread over a volume and its middle (3,), RAS+ mm."""
    axes = [torch.linspace(0, n - 1, min(n, _COARSE), dtype=torch.float64) for n in shape]
    index = torch.cartesian_prod(*axes)
    matrix = torch.from_numpy(affine).double()
    return index @ matrix[:3, :3].T + matrix[:3, 3], matrix[:3, :3] @ torch.tensor(
        [(n - 1) / 2 for n in shape]
    ).double() + matrix[:3, 3]


def _coarse(volume: np.ndarray) -> torch.Tensor:
    """(1, 1, *S') clipped and smoothed: the mean of blocks, about ``_COARSE`` along each axis."""
    sides = [min(n, 2 * _COARSE) for n in volume.shape]
    clipped = torch.from_numpy(np.clip(volume, *_WINDOW).astype(np.float32))[None, None]
    return F.adaptive_avg_pool3d(clipped, sides).double()


def _sampled(
    coarse: torch.Tensor, affine: np.ndarray, shape: tuple[int, ...], points: torch.Tensor
) -> torch.Tensor:
    """Values (N,) at places, linear; border values outside."""
    inverse = torch.from_numpy(np.linalg.inv(affine)).double()
    index = points @ inverse[:3, :3].T + inverse[:3, 3]
    scaled = (2 * index + 1) / torch.tensor(shape).double() - 1  # -1 and 1 are the outer faces
    grid = scaled.flip(-1)[None, None, None]
    return F.grid_sample(coarse, grid, padding_mode="border", align_corners=False).reshape(-1)
