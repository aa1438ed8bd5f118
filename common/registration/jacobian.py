"""The Jacobian determinant of x + phi(x): the local change of volume; where it is not above 0 the map folds.

Source: easr_dcn/docs/method.md#inference.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["folded_share", "jacobian_determinant"]


def jacobian_determinant(displacement: Tensor, *, differences: str = "central") -> Tensor:
    """det(I + grad phi) at every voxel.

    Args:
        displacement: (B, d, *S) in voxels, d = 2 or 3, at least two voxels along every axis.
        differences: "central", one-sided at the borders, (B, *S); "replicated", central with the border
            repeated beyond it, so half the one-sided difference there, (B, *S): what SimpleITK's
            DisplacementFieldJacobianDeterminant computes on a grid of unit spacing; or "forward",
            (B, *S - 1), without the last voxel of each axis.

    Raises:
        ValueError: ``differences`` is none of them.
    """
    if differences not in ("central", "replicated", "forward"):
        raise ValueError(
            f"jacobian_determinant: differences={differences!r}; "
            'expected "central", "replicated" or "forward"'
        )
    dims = displacement.shape[1]
    axes = list(range(2, 2 + dims))
    if differences == "central":
        slopes = torch.gradient(displacement, dim=axes)
    elif differences == "replicated":
        slopes = [_replicated(displacement, axis) for axis in axes]
    else:
        slopes = [_without_last(displacement.diff(dim=axis), [a for a in axes if a != axis]) for axis in axes]
    matrix = torch.stack(list(slopes), 2).movedim((1, 2), (-2, -1))  # (B, *S, component, axis)
    return torch.linalg.det(matrix + torch.eye(dims, dtype=matrix.dtype, device=matrix.device))


def _replicated(x: Tensor, axis: int) -> Tensor:
    """Half the difference of both neighbours, at a border of the voxel itself and its one neighbour."""
    last = x.shape[axis] - 1
    padded = torch.cat([x.narrow(axis, 0, 1), x, x.narrow(axis, last, 1)], axis)
    return (padded.narrow(axis, 2, last + 1) - padded.narrow(axis, 0, last + 1)) / 2


def _without_last(x: Tensor, axes: list[int]) -> Tensor:
    for axis in axes:
        x = x.narrow(axis, 0, x.shape[axis] - 1)
    return x


def folded_share(displacement: Tensor, *, differences: str = "central") -> Tensor:
    """Share (B,) of voxels, in 0..1, at which the determinant is at most 0."""
    return (jacobian_determinant(displacement, differences=differences) <= 0).flatten(1).double().mean(1)
