"""Deciding on a scan's own grid: probabilities are interpolated there, and then a class is chosen.

Choosing first and bringing labels back by nearest neighbour rounds every surface twice, which costs small
structures up to a few hundredths of Dice.

The interpolation is linear, so where all corners of a cell of the network's grid make the same choice,
every point inside makes it too.  Only the cells that a surface cuts are interpolated, slab by slab: besides
the network's output, memory holds the result, one byte per voxel (for up to 256 classes or 8 regions), and a
small part of the volume.

Axes: K channels, *S the network's grid, *T the scan's; n = 2 or 3 spatial ones.
Source: Isensee et al., nnU-Net, Nature Methods 2021, Supplementary Note 2 (probabilities, linear; nearest
along an axis that preprocessing treated so).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from torch import Tensor

from common.errors import InputError
from common.inference.own_grid import OwnGrid, own_grid
from common.tensors.plain import plain

__all__ = [
    "RESAMPLE",
    "DecideOnOwnGridd",
    "decide_on_own_grid",
    "exceeded_half",
    "likeliest",
    "on_own_grid",
]

RESAMPLE = ("probabilities", "labels")
_SLABS = 32  # of a volume, at least
_SLAB_VOXELS, _NUMBERS = 2**21, 2**18  # the most handled at once: voxels, values of all channels
_REACH = 0.5 + 1e-3  # voxels beyond the last centre: where rounding of a size leaves the scan's
_ACROSS = 1e-3  # voxels from end to end: a smaller shear is rounding
_WHOLE = 1e-6  # voxels: anything this near to a whole number is one

Rule = Callable[[Tensor], Tensor]


def likeliest(probabilities: Tensor) -> Tensor:
    """The largest channel, the first one if tied: (K, *) to (*), uint8 if K fits."""
    best = probabilities[0].clone()
    chosen = torch.zeros(best.shape, dtype=_whole_numbers(len(probabilities)), device=best.device)
    for k, channel in enumerate(probabilities[1:], start=1):
        chosen.masked_fill_(channel > best, k)
        torch.maximum(best, channel, out=best)
    return chosen


def exceeded_half(probabilities: Tensor) -> Tensor:
    """The channels that exceed a half, channel r as bit r: (K, *) to (*), uint8 if K bits fit."""
    chosen = torch.zeros(
        probabilities.shape[1:],
        dtype=_whole_numbers(2 ** len(probabilities)),
        device=probabilities.device,
    )
    for r, channel in enumerate(probabilities):
        chosen.bitwise_or_((channel > 0.5).to(chosen.dtype) << r)
    return chosen


def _whole_numbers(count: int) -> torch.dtype:
    return torch.uint8 if count <= 2**8 else torch.int32 if count <= 2**31 else torch.int64


def decide_on_own_grid(
    probabilities: Tensor, grid: OwnGrid, rule: Rule = likeliest, *, resample: str = "probabilities"
) -> Tensor:
    """What ``rule`` chooses at each voxel of a scan; 0 where the network's grid does not reach.

    Args:
        probabilities: (K, *S) on the network's grid, contiguous (or a copy is made).
        grid: the scan's.
        rule: (K, *) to whole numbers (*), voxel by voxel; what it chooses at several points it must also
            choose for every weighted mean of them.
        resample: "probabilities"; or "labels": choose first and take the nearest voxel's choice.

    Returns:
        (*T), on the device of the probabilities.

    Raises:
        InputError: ``resample`` is neither of the two.
    """
    _check(resample)
    probabilities = probabilities.contiguous()
    decided: Tensor | None = None
    for voxels in _slabs(grid):
        slab = _Slab(probabilities, grid, voxels)
        found = slab.nearest(rule) if resample == "labels" else slab.interpolated(rule)
        if decided is None:
            decided = found.new_zeros(grid.shape)
        decided[voxels] = found
    assert decided is not None, "a volume has at least one slab"
    return decided


def on_own_grid(probabilities: Tensor, grid: OwnGrid) -> Tensor:
    """Probabilities at each voxel of a scan; 0 where the network's grid does not reach.

    Args:
        probabilities: (K, *S) on the network's grid.
        grid: the scan's.

    Returns:
        (K, *T), float32 or wider, on the device of the probabilities.
    """
    probabilities = probabilities.contiguous()
    dtype = torch.promote_types(probabilities.dtype, torch.float32)
    found = probabilities.new_zeros((len(probabilities), *grid.shape), dtype=dtype)
    for voxels in _slabs(grid):
        found[(slice(None), *voxels)] = _Slab(probabilities, grid, voxels).values()
    return found


def _check(resample: str) -> None:
    if resample not in RESAMPLE:
        raise InputError(f"resample = {resample!r}; expected one of: {', '.join(RESAMPLE)}")


def _slabs(grid: OwnGrid) -> Iterator[tuple[slice, ...]]:
    """Slabs across the axis of the scan that runs along the network's first one."""
    axis = int(np.abs(grid.matrix[0, :-1] * np.asarray(grid.shape)).argmax())
    side, voxels = grid.shape[axis], math.prod(grid.shape)
    thickness = max(1, min(side // _SLABS, _SLAB_VOXELS * side // voxels))
    for start in range(0, side, thickness):
        slab = [slice(0, n) for n in grid.shape]
        slab[axis] = slice(start, min(start + thickness, side))
        yield tuple(slab)


class _Slab:
    """A slab of the scan, and where its voxels lie on the network's grid.

    There is one tensor of coordinates for each axis of the network's grid.  Unless the scan is sheared, it
    varies along one axis of the slab and has size 1 along the others: full coordinate volumes are never made.
    """

    def __init__(self, probabilities: Tensor, grid: OwnGrid, voxels: Sequence[slice]) -> None:
        self.probabilities = probabilities
        self.numbers = min(_NUMBERS, math.prod(grid.shape) // 16)
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

    def interpolated(self, rule: Rule) -> Tensor:
        """The choice from interpolated probabilities."""
        box, start = self._box(self.places)
        code = rule(box)
        lower = [p.floor() for p in self.places]
        at_lower = _less(lower, start)
        found = code[at_lower].expand(self.shape).contiguous()
        cut = _cut(code)[at_lower].expand(self.shape).nonzero()
        for some in cut.split(max(1, self.numbers // len(box))):
            at = tuple(some.unbind(1))
            corner = [low.expand(self.shape)[at].long() for low in lower]
            share = [p.expand(self.shape)[at] - low for p, low in zip(self.places, corner, strict=True)]
            found[at] = rule(_linear(self.probabilities, corner, share))
        return self._reached(found)

    def values(self) -> Tensor:
        """The interpolated probabilities (K, *slab) themselves."""
        places = [p.expand(self.shape).flatten() for p in self.places]
        parts = zip(*(p.split(max(1, _NUMBERS // len(self.probabilities))) for p in places), strict=True)
        found = []
        for part in parts:
            lower = [p.floor() for p in part]
            share = [p - low for p, low in zip(part, lower, strict=True)]
            found.append(_linear(self.probabilities, [low.long() for low in lower], share))
        whole = torch.cat(found, dim=1).reshape(-1, *self.shape)
        for beyond in self.beyond:
            whole.masked_fill_(beyond, 0)
        return whole

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


class DecideOnOwnGridd(MapTransform):
    """Probabilities on the network's grid to labels on the scan's own, with the scan's affine.

    Replaces a decision followed by ``Invertd``.

    Args:
        keys: probabilities (K, *S).
        orig_keys: the image that the network saw, with the record of its preprocessing.
        regions: channels are regions that may overlap, each where it exceeds a half, and become masks
            (K, *T) of 0 and 1, uint8.  Otherwise channels are classes, and the likeliest ones become a
            label map (1, *T), uint8 for up to 256 classes.
        resample: "probabilities", or "labels": decide on the network's grid and bring labels back by nearest
            neighbour, which is a little faster and less exact.
        classes: decide among the first so many channels alone; None: all.
        further: key for the probabilities (1 or more, *T) of the channels behind those, if there are any.

    Raises:
        InputError: ``resample`` is neither of the two.
    """

    def __init__(
        self,
        keys: KeysCollection,
        orig_keys: str = "image",
        *,
        regions: bool = False,
        resample: str = "probabilities",
        classes: int | None = None,
        further: str = "further",
    ) -> None:
        super().__init__(keys)
        _check(resample)
        self.orig_keys, self.regions, self.resample = orig_keys, regions, resample
        self.classes, self.further = classes, further

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Decide every key."""
        result = dict(data)
        image: MetaTensor = result[self.orig_keys]
        grid = own_grid(image)
        affine = torch.from_numpy(grid.affine)
        rule = exceeded_half if self.regions else likeliest
        for key in self.key_iterator(data):
            found = plain(result[key]).detach()
            scores, further = (
                found[: self.classes],
                found[len(found) if self.classes is None else self.classes :],
            )
            decided = decide_on_own_grid(scores, grid, rule, resample=self.resample)
            results = {key: _masks(decided, len(scores)) if self.regions else decided[None]}
            if len(further):
                results[self.further] = on_own_grid(further, grid)
            for name, channels in results.items():
                result[name] = MetaTensor(channels, meta={**deepcopy(image.meta), "affine": affine})
        return result


def _masks(chosen: Tensor, channels: int) -> Tensor:
    """Masks (K, *) uint8 from whole numbers whose bit r is channel r."""
    masks = torch.empty((channels, *chosen.shape), dtype=torch.uint8, device=chosen.device)
    for r, mask in enumerate(masks):
        mask.copy_((chosen >> r) & 1)
    return masks
