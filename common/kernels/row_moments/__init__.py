"""Rows of voxels, on which the norms work; their moments and affine maps are in ``cpu`` and ``triton``.

A row is the V voxels of one (sample, channel) pair of a tensor (B, C, *S): B * C rows, channels fastest.
"""

from __future__ import annotations

from torch import Tensor

__all__ = ["as_rows", "for_each_row"]


def as_rows(x: Tensor) -> Tensor:
    """(B, C, *S) to contiguous (B * C, V)."""
    return x.reshape(x.size(0) * x.size(1), -1).contiguous()


def for_each_row(of_channels: Tensor, samples: int) -> Tensor:
    """(C,) to (samples * C,)."""
    return of_channels.repeat(samples)
