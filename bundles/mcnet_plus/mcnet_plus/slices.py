"""Volumes as 2D slices: one training item per slice, and a prediction slice by slice.

Volumes are (C, X, Y, Z), slices lie across the last axis.  Source: card mcnet_plus, ACDC.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.inferers import Inferer
from monai.transforms import MapTransform, OneOf, Rotated
from nibabel.orientations import io_orientation
from torch import Tensor

from common.datasets.datalist import CaseList
from common.datasets.facts import read_facts
from common.training.batches import plain

__all__ = ["ResizedSliceInferer", "TakeSliced", "slices_of", "turns_by_degrees"]


def slices_of(cases: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each case once for every slice, with its number under ``slice``.

    Slices are counted along the axis that is the last one once a volume is turned to (R, A, S).
    """
    items: list[dict[str, Any]] = []
    for case, facts in zip(cases, read_facts([{"image": case["image"]} for case in cases]), strict=True):
        axis = list(io_orientation(facts.image.affine)[:, 0]).index(2)
        items += [{**case, "slice": number} for number in range(facts.image.shape[axis])]
    return CaseList(items, cases.folder) if isinstance(cases, CaseList) else items


class TakeSliced(MapTransform):
    """Volumes (C, X, Y, Z) become their slice (C, X, Y) whose number stands under ``slice``."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Cut every key; ``slice`` goes."""
        result = dict(data)
        number = result.pop("slice")
        for key in self.key_iterator(result):
            volume = result[key]
            cut = plain(volume)[..., number].clone()
            result[key] = MetaTensor(cut, meta=volume.meta) if isinstance(volume, MetaTensor) else cut
        return result


def turns_by_degrees(keys: KeysCollection, low: int, high: int) -> OneOf:
    """A rotation in the plane by a whole number of degrees from [low, high), by nearest neighbour."""
    return OneOf(
        [
            Rotated(
                keys,
                math.radians(degrees),
                mode="nearest",
                padding_mode="zeros",
                allow_missing_keys=True,
            )
            for degrees in range(low, high)
        ]
    )


class ResizedSliceInferer(Inferer):
    """Predict a volume slice by slice, each resized to the network's size and back by nearest neighbour.

    Args:
        size: of the network's input, (H, W).
        batch_size: slices per forward pass.
    """

    def __init__(self, size: Sequence[int], *, batch_size: int = 1) -> None:
        super().__init__()
        self.size, self.batch_size = tuple(size), batch_size

    def __call__(self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """(B, C, X, Y, Z) to class probabilities (B, K, X, Y, Z)."""
        images = plain(inputs)
        slices = images.movedim(4, 1).flatten(0, 1)  # (B Z, C, X, Y)
        small = F.interpolate(slices, self.size, mode="nearest-exact")
        pieces = [network(piece, *args, **kwargs).softmax(1) for piece in small.split(self.batch_size)]
        back = F.interpolate(torch.cat(pieces), images.shape[2:4], mode="nearest-exact")
        return back.unflatten(0, (images.shape[0], -1)).movedim(1, 4)
