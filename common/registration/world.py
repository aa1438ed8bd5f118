"""Displacements between voxels and millimetres, and warps between images on any two grids.

Affines are (4, 4), voxel index to R, A, S mm, as NIfTI has them.

A network's field is in voxels of the grid that it worked on.  In mm along the patient's axes it means the
same on every grid, however that is oriented, spaced or tilted; there it is resampled, written and applied.
"""

from __future__ import annotations

import torch
from torch import Tensor

from common.registration.warp import identity_points, sample_at

__all__ = ["displacement_in_mm", "displacement_in_voxels", "resample_field", "warp_in_world"]


def displacement_in_mm(displacement: Tensor, affine: Tensor) -> Tensor:
    """(B, 3, *S) voxels along the array's axes to mm along R, A, S."""
    return torch.einsum("ij,bj...->bi...", affine[:3, :3].to(displacement), displacement)


def displacement_in_voxels(world: Tensor, affine: Tensor) -> Tensor:
    """(B, 3, *S) mm along R, A, S to voxels along the axes of the array that ``affine`` belongs to."""
    return torch.einsum("ij,bj...->bi...", torch.linalg.inv(affine.double())[:3, :3].to(world), world)


def resample_field(
    world: Tensor, affine: Tensor, shape: torch.Size | tuple[int, ...], onto: Tensor
) -> Tensor:
    """Resample a field in mm to another grid: linearly, with border values beyond its own grid.

    Args:
        world: (B, 3, *S) mm along R, A, S.
        affine: affine of its grid.
        shape: *T of the other grid.
        onto: affine of the other grid.
    """
    points = _points(shape, onto, affine, world)
    return sample_at(world, points.expand(world.shape[0], -1, *shape), padding="border")


def warp_in_world(
    moving: Tensor, moving_affine: Tensor, world: Tensor, fixed_affine: Tensor, *, mode: str = "linear"
) -> Tensor:
    """The moving image on the fixed grid, each value interpolated once.

    Args:
        moving: (B, C, *M), on its own grid.
        moving_affine: affine of that grid.
        world: (B, 3, *S) mm along R, A, S, on the fixed grid.
        fixed_affine: affine of the fixed grid.
        mode: "linear", or "nearest" for labels.

    Returns:
        (B, C, *S): the moving image at p + u(p) for every point p of the fixed grid, 0 outside of it.
    """
    points = _points(world.shape[2:], fixed_affine, moving_affine, world)
    return sample_at(moving, points + displacement_in_voxels(world, moving_affine), mode=mode)


def _points(shape: torch.Size | tuple[int, ...], grid: Tensor, other: Tensor, like: Tensor) -> Tensor:
    """Where the voxels of a grid lie in another: (1, 3, *shape), voxels; whole where both are the same."""
    points = identity_points(shape, like=like)
    matrix = torch.linalg.solve(other.double(), grid.double()).to(points)
    if torch.allclose(matrix, torch.eye(4).to(points), atol=1e-5):
        return points
    moved = torch.einsum("ij,bj...->bi...", matrix[:3, :3], points)
    return moved + matrix[:3, 3].reshape(1, 3, *[1] * len(shape))
