"""Rotation of slices, and prediction slice by slice.

Volumes are (C, X, Y, Z), slices are taken along the last axis.  Source:
mcnet_plus/docs/method.md#slice-by-slice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from monai.config import KeysCollection
from monai.inferers import Inferer
from monai.transforms import OneOf, Rotated
from torch import Tensor

from common.tensors.plain import plain

__all__ = ["ResizedSliceInferer", "turns_by_degrees"]


def turns_by_degrees(keys: KeysCollection, low: int, high: int) -> OneOf:
    """An in-plane rotation by a whole number of degrees from [low, high), with nearest neighbour."""
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
