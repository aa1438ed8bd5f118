"""Rotation and size of slices, and prediction slice by slice.

Volumes are (C, X, Y, Z), slices are taken along the last axis.  Source:
mcnet_plus/docs/method.md#slice-by-slice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.inferers import Inferer
from monai.transforms import MapTransform, OneOf, Rotated
from torch import Tensor

from common.tensors.plain import plain

__all__ = ["ResizedSliceInferer", "ZoomNearestd", "turns_by_degrees", "zoom_nearest"]


def zoom_nearest(images: Tensor, size: Sequence[int]) -> Tensor:
    """The last two axes (..., H, W) at another size by nearest neighbour, corner on corner.

    As ``scipy.ndimage.zoom`` of order 0: the first and the last pixel stay the first and the last.
    """
    for axis, length in zip((-2, -1), size, strict=True):
        if images.shape[axis] != length:
            step = (images.shape[axis] - 1) / max(length - 1, 1)
            places = torch.arange(length, dtype=torch.float64, device=images.device) * step
            images = images.index_select(axis, (places + 0.5).floor().long())
    return images


class ZoomNearestd(MapTransform):
    """:func:`zoom_nearest` of slices (C, H, W); metadata stay those of the slice before.

    Args:
        keys: images or labels.
        size: (H, W) of the result.
        allow_missing_keys: pass cases without a key.
    """

    def __init__(
        self, keys: KeysCollection, size: Sequence[int], *, allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.size = tuple(size)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Resize every key."""
        result = dict(data)
        for key in self.key_iterator(result):
            zoomed = zoom_nearest(plain(result[key]), self.size)
            given = result[key]
            result[key] = MetaTensor(zoomed, meta=given.meta) if isinstance(given, MetaTensor) else zoomed
        return result


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
        small = zoom_nearest(slices, self.size)
        pieces = [network(piece, *args, **kwargs).softmax(1) for piece in small.split(self.batch_size)]
        back = zoom_nearest(torch.cat(pieces), images.shape[2:4])
        return back.unflatten(0, (images.shape[0], -1)).movedim(1, 4)
