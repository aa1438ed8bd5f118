"""Probabilities of a scan, sampled at the voxels of its own grid, a slab at a time.

The interpolation is linear (nearest along an axis that preprocessing treated so), and full coordinate volumes
are never made.

Axes: K channels, *S the network's grid, *T the scan's; n = 2 or 3 spatial ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from common.inference.own_grid import OwnGrid

__all__ = ["Rule", "Slab", "Vote", "slabs_of", "together"]

_SLABS = 32  # of a volume, at least
_SLAB_VOXELS, _NUMBERS = 2**21, 2**18  # the most handled at once: voxels, values of all channels
_REACH = 0.5 + 1e-3  # voxels beyond the last centre: where rounding of a size leaves the scan's
_ACROSS = 1e-3  # voxels from end to end: a smaller shear is rounding
_WHOLE = 1e-6  # voxels: anything this near to a whole number is one

Rule = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Vote:
    """One network's probabilities of a scan.

    Attributes:
        probabilities: (K, *S) on a grid of its own.
        grid: the scan's, and where its voxels lie on that one.
        weight: in the mean with others, above 0.
    """

    probabilities: Tensor
    grid: OwnGrid
    weight: float = 1.0


def together(probabilities: Tensor, grid: OwnGrid, further: Sequence[Vote]) -> list[Vote]:
    """All votes, ready to be sampled, on one device."""
    for vote in further:
        if vote.grid.shape != grid.shape or len(vote.probabilities) != len(probabilities):
            raise ValueError(
                f"a vote of {len(vote.probabilities)} channels for a scan of {vote.grid.shape}; "
                f"expected {len(probabilities)} and {grid.shape}"
            )
    given = [Vote(probabilities, grid), *further]
    device = probabilities.device
    return [Vote(vote.probabilities.to(device).contiguous(), vote.grid, vote.weight) for vote in given]


def slabs_of(grid: OwnGrid) -> Iterator[tuple[slice, ...]]:
    """Slabs across the axis of the scan that runs along the network's first one."""
    axis = int(np.abs(grid.matrix[0, :-1] * np.asarray(grid.shape)).argmax())
    side, voxels = grid.shape[axis], math.prod(grid.shape)
    thickness = max(1, min(side // _SLABS, _SLAB_VOXELS * side // voxels))
    for start in range(0, side, thickness):
        slab = [slice(0, n) for n in grid.shape]
        slab[axis] = slice(start, min(start + thickness, side))
        yield tuple(slab)


class Slab:
    """A slab of the scan, and where its voxels lie on the network's grid.

    There is one tensor of coordinates for each axis of the network's grid.  Unless the scan is sheared, it
    varies along one axis of the slab and has size 1 along the others: full coordinate volumes are never made.
    """

    def __init__(self, vote: Vote, voxels: Sequence[slice]) -> None:
        probabilities, grid = vote.probabilities, vote.grid
        self.probabilities, self.weight = probabilities, vote.weight
        self.points = max(1, min(_NUMBERS, math.prod(grid.shape) // 16) // len(probabilities))  # at once
        self.shape = tuple(v.stop - v.start for v in voxels)
        self.sides = probabilities.shape[1:]
        places = [_along(row, grid.shape, voxels, probabilities.device) for row in grid.matrix[:-1]]
        ends = [side - 1 for side in self.sides]
        self.beyond = [(p < -_REACH) | (p > end + _REACH) for p, end in zip(places, ends, strict=True)]
        places = [p.clamp_(0, end) for p, end in zip(places, ends, strict=True)]
        self.places = [p.round_() if axis in grid.nearest else p for axis, p in enumerate(places)]

    def nearest(self, rule: Rule) -> Tensor:
        """The choice of the nearest voxel."""
        places = [p.round() for p in self.places]
        box, start = self._box(places)
        return self._reached(rule(box)[_less(places, start)])

    def choices(self, rule: Rule) -> tuple[Tensor, Tensor]:
        """The choice of each voxel's lower corner, and whether its cell's corners choose differently."""
        box, start = self._box(self.places)
        code = rule(box)
        at_lower = _less([p.floor() for p in self.places], start)
        return self._reached(code[at_lower]), self._reached(_cut(code)[at_lower])

    def values(self, points: Tensor, *, regions: bool = False) -> Tensor:
        """Interpolated probabilities (K, M), float32 or wider, at voxels (M, n) of the slab.

        Where the network's grid does not reach, they are for the first class; of ``regions``, for none.
        """
        at = tuple(points.unbind(1))
        places = [p.expand(self.shape)[at] for p in self.places]
        corner = [p.floor().long() for p in places]
        share = [p - low for p, low in zip(places, corner, strict=True)]
        found = _linear(self.probabilities, corner, share)
        for beyond in self.beyond:
            if bool(beyond.any()):
                outside = beyond.expand(self.shape)[at]
                found[:, outside] = 0
                if not regions:
                    found[0, outside] = 1
        return found

    def _box(self, places: Sequence[Tensor]) -> tuple[Tensor, list[int]]:
        """The part of the network's output that these places touch, and its first voxel."""
        start = [math.floor(float(p.min())) for p in places]
        stop = [math.ceil(float(p.max())) + 1 for p in places]
        box = self.probabilities[(slice(None), *map(slice, start, stop))]
        return box, start

    def _reached(self, found: Tensor) -> Tensor:
        """Expanded to the slab, and 0 where the network's grid does not reach."""
        found = found.expand(self.shape).contiguous()
        for beyond in self.beyond:
            if bool(beyond.any()):
                found.masked_fill_(beyond, 0)
        return found


def _less(places: Sequence[Tensor], start: Sequence[int]) -> tuple[Tensor, ...]:
    return tuple(p.long() - low for p, low in zip(places, start, strict=True))


def _along(row: np.ndarray, shape: Sequence[int], voxels: Sequence[slice], device: torch.device) -> Tensor:
    """Coordinates of a slab's voxels along one axis of the network's grid."""
    place = torch.full([1] * len(shape), float(row[-1]), dtype=torch.float64, device=device)
    for axis, (factor, side, part) in enumerate(zip(row[:-1], shape, voxels, strict=True)):
        if abs(factor) * side > _ACROSS:
            steps = torch.arange(part.start, part.stop, dtype=torch.float64, device=device)
            sides = [1] * len(shape)
            sides[axis] = len(steps)
            place = place + float(factor) * steps.reshape(sides)
    whole = place.round()
    return torch.where((place - whole).abs() < _WHOLE, whole, place)


def _cut(code: Tensor) -> Tensor:
    """Bool, like ``code``: whether corners of the cell that begins here differ."""
    low = high = code
    for axis in range(code.ndim):
        low = torch.minimum(low, _following(low, axis))
        high = torch.maximum(high, _following(high, axis))
    return low != high


def _following(values: Tensor, axis: int) -> Tensor:
    """The next value along an axis; the last one is repeated."""
    side = values.shape[axis]
    return torch.cat([values.narrow(axis, 1, side - 1), values.narrow(axis, side - 1, 1)], dim=axis)


def _linear(probabilities: Tensor, corner: Sequence[Tensor], share: Sequence[Tensor]) -> Tensor:
    """Linear interpolation of (K, *S) at M points: (K, M), float32 or wider.

    A channel that is the same at all corners keeps its value to the last bit.

    Args:
        probabilities: (K, *S), contiguous.
        corner: for each axis, the index of the lower voxel.
        share: for each axis, the weight of the voxel after it, in [0, 1).
    """
    strides, sides = probabilities.stride()[1:], probabilities.shape[1:]
    axes = [
        (share[axis], torch.where(corner[axis] + 1 < sides[axis], strides[axis], 0))
        for axis in range(len(sides))
        if bool(share[axis].any())
    ]
    index = sum(c * stride for c, stride in zip(corner, strides, strict=True))
    return _between(probabilities.flatten(1), index, axes)


def _between(flat: Tensor, index: Tensor, axes: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Interpolate (K, N) from voxels ``index`` on; each axis gives the next voxel's weight and distance."""
    if not axes:
        found = flat.index_select(1, index)
        return found.to(torch.promote_types(found.dtype, torch.float32))
    (share, step), *others = axes
    here, there = _between(flat, index, others), _between(flat, index + step, others)
    return here.lerp_(there, share.to(here.dtype))
