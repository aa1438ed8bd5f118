"""The inner boundary of the structures in a label map, on the device that the map is on.

BA-Net's boundaries are the inner shells of nested unions: with the values v0 < v1 < ... that are present,
the mask ``label > v`` less its erosion by a full 3 x 3 (x 3) neighbourhood, for each v but the last.  A voxel
lies on one of these shells exactly where some neighbour has a smaller value:

    boundary = label > smallest value in the neighbourhood

so the smallest neighbour, sought axis by axis, does for any number of classes.  Between two structures the
boundary lies on the side of the larger value alone.  The neighbourhood ends at the border of the array: a
structure that is cut there has no boundary there.

Axes: B batch, spatial axes S (two or three).
Source: Hu et al., Boundary-Aware Network for Kidney Parsing (arXiv 2208.13338), as in the authors' code.
"""

from __future__ import annotations

import torch
from torch import Tensor

from common.tensors.plain import plain

__all__ = ["inner_boundary"]


def inner_boundary(label: Tensor) -> Tensor:
    """Label maps (B, 1, *S) of whole numbers, 0 the background, to boundaries (B, 1, *S), bool.

    Raises:
        ValueError: S has neither two nor three axes.
    """
    if label.ndim not in (4, 5):
        shape = list(label.shape)
        raise ValueError(f"inner_boundary: labels {shape}; expected (B, 1, *S) with two or three axes S")
    label = plain(label)
    smallest = label
    for axis in range(2, label.ndim):
        smallest = _smallest_of_three(smallest, axis)
    return label > smallest


def _smallest_of_three(values: Tensor, axis: int) -> Tensor:
    """The smallest of each value, the one before and the one after it along an axis."""
    smallest, pairs = values.clone(), values.shape[axis] - 1
    before, after = (smallest.narrow(axis, start, pairs) for start in (0, 1))
    torch.minimum(before, values.narrow(axis, 1, pairs), out=before)
    torch.minimum(after, values.narrow(axis, 0, pairs), out=after)
    return smallest
