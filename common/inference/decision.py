"""Deciding on a scan's own grid: probabilities are interpolated there, and then a class is chosen.

Choosing first and bringing labels back by nearest neighbour rounds every surface twice, which costs small
structures up to a few hundredths of Dice.

The interpolation is linear, so where all corners of a cell of the network's grid make the same choice,
every point inside makes it too.  Only the cells that a surface cuts are interpolated, slab by slab: besides
the network's output, memory holds the result, one byte per voxel (for up to 256 classes or 8 regions), and a
small part of the volume.  The same holds for the mean of several networks' probabilities, each on its own
grid: where all agree around a point, nothing is interpolated.

Axes: K channels, *S the network's grid, *T the scan's; n = 2 or 3 spatial ones.
Source: Isensee et al., nnU-Net, Nature Methods 2021, Supplementary Note 2 (probabilities, linear; nearest
along an axis that preprocessing treated so).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from torch import Tensor

from common.errors import InputError
from common.inference.own_grid import OwnGrid, own_grid
from common.inference.votes import Rule, Slab, Vote, slabs_of, together
from common.tensors.plain import plain

__all__ = [
    "RESAMPLE",
    "DecideOnOwnGridd",
    "Vote",
    "decide_on_own_grid",
    "exceeded_half",
    "likeliest",
    "mean_on_own_grid",
]

RESAMPLE = ("probabilities", "labels")


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
    probabilities: Tensor,
    grid: OwnGrid,
    rule: Rule = likeliest,
    *,
    resample: str = "probabilities",
    further: Sequence[Vote] = (),
) -> Tensor:
    """What ``rule`` chooses at each voxel of a scan; 0 where the network's grid does not reach.

    With ``further`` votes the rule gets the weighted mean of all probabilities, in which the network's own
    have the weight 1.  Where a vote's grid does not reach, it is for the first class, or for no region.

    Args:
        probabilities: (K, *S) on the network's grid, contiguous (or a copy is made).
        grid: the scan's.
        rule: (K, *) to whole numbers (*), voxel by voxel; what it chooses at several points it must also
            choose for every weighted mean of them.
        resample: "probabilities"; or "labels": choose first and take the nearest voxel's choice.
        further: probabilities of the same K channels and the same scan.

    Returns:
        (*T), on the device of the probabilities.

    Raises:
        InputError: ``resample`` is neither of the two, or "labels" with further votes.
        ValueError: a vote is of other channels or another scan.
    """
    _check(resample)
    if further and resample == "labels":
        raise InputError(
            'resample = "labels" with several networks; expected "probabilities": they are averaged'
        )
    votes = together(probabilities, grid, further)
    decided: Tensor | None = None
    for voxels in slabs_of(grid):
        slabs = [Slab(vote, voxels) for vote in votes]
        found = slabs[0].nearest(rule) if resample == "labels" else _interpolated(slabs, rule)
        if decided is None:
            decided = found.new_zeros(grid.shape)
        decided[voxels] = found
    assert decided is not None, "a volume has at least one slab"
    return decided


def mean_on_own_grid(
    probabilities: Tensor, grid: OwnGrid, *, regions: bool = False, further: Sequence[Vote] = ()
) -> Iterator[tuple[tuple[slice, ...], Tensor]]:
    """The probabilities that :func:`decide_on_own_grid` decides on, a slab of the scan at a time.

    Args:
        probabilities: (K, *S).
        grid: the scan's.
        regions: channels are regions that may overlap, of which none is where a grid does not reach.
        further: as there.

    Yields:
        The slab's place in the scan, and (K, *slab), float32 or wider.
    """
    votes = together(probabilities, grid, further)
    for voxels in slabs_of(grid):
        slabs = [Slab(vote, voxels) for vote in votes]
        shape = slabs[0].shape
        everywhere = torch.ones(shape, dtype=torch.bool, device=votes[0].probabilities.device).nonzero()
        values = torch.cat(
            [_mean(slabs, some, regions=regions) for some in everywhere.split(slabs[0].points)], dim=1
        )
        yield voxels, values.reshape(-1, *shape)


def _interpolated(slabs: Sequence[Slab], rule: Rule) -> Tensor:
    """The choice from the mean of the interpolated probabilities."""
    found, open_ = slabs[0].choices(rule)
    for slab in slabs[1:]:
        other, cut = slab.choices(rule)
        open_ = open_ | cut | (other != found)
    for some in open_.nonzero().split(slabs[0].points):
        found[tuple(some.unbind(1))] = rule(_mean(slabs, some, regions=rule is exceeded_half))
    return found


def _mean(slabs: Sequence[Slab], points: Tensor, *, regions: bool) -> Tensor:
    """The weighted mean (K, M) of probabilities at voxels (M, n) of a slab."""
    if len(slabs) == 1:
        return slabs[0].values(points, regions=regions)
    total = sum(slab.weight for slab in slabs)
    return sum(slab.values(points, regions=regions) * (slab.weight / total) for slab in slabs)


def _check(resample: str) -> None:
    if resample not in RESAMPLE:
        raise InputError(f"resample = {resample!r}; expected one of: {', '.join(RESAMPLE)}")


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
        further_key: where the case's list of :class:`Vote` stands, if it has one: further probabilities to
            average with these.

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
        further_key: str = "further",
    ) -> None:
        super().__init__(keys)
        _check(resample)
        self.orig_keys, self.regions, self.resample = orig_keys, regions, resample
        self.further_key = further_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Decide every key."""
        result = dict(data)
        image: MetaTensor = result[self.orig_keys]
        grid = own_grid(image)
        affine = torch.from_numpy(grid.affine)
        rule = exceeded_half if self.regions else likeliest
        for key in self.key_iterator(result):
            scores = plain(result[key]).detach()
            further = result.get(self.further_key, ())
            decided = decide_on_own_grid(scores, grid, rule, resample=self.resample, further=further)
            channels = _masks(decided, len(scores)) if self.regions else decided[None]
            result[key] = MetaTensor(channels, meta={**deepcopy(image.meta), "affine": affine})
        return result


def _masks(chosen: Tensor, channels: int) -> Tensor:
    """Masks (K, *) uint8 from whole numbers whose bit r is channel r."""
    masks = torch.empty((channels, *chosen.shape), dtype=torch.uint8, device=chosen.device)
    for r, mask in enumerate(masks):
        mask.copy_((chosen >> r) & 1)
    return masks
