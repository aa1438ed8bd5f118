"""Random patches of volumes that may be smaller than the patch."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import torch.nn.functional as F
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Randomizable
from torch import Tensor

from common.tensors.plain import plain

__all__ = ["RandPaddedCropd"]


class RandPaddedCropd(MapTransform, Randomizable):
    """Cut one random patch, the same from every key; pad with zeros if any side is not larger than the patch.

    Then every side gets (patch - side) // 2 + ``margin`` voxels on both ends, where that is above 0: sides
    that are a little longer than the patch are padded too.  The patch starts anywhere in [0, side - patch),
    upper end excluded.  Source: UA-MT's code (lefed/docs/method.md#transforms and
    mcnet_plus/docs/method.md#transforms).

    Args:
        keys: volumes (C, *S) of equal size.
        size: the patch in voxels, one number per axis.
        margin: at least 1, so that there is a place to start.
        allow_missing_keys: pass cases without a key.
    """

    def __init__(
        self,
        keys: KeysCollection,
        size: Sequence[int],
        *,
        margin: int = 3,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.size, self.margin = list(size), margin
        self.start: list[int] = []

    def pads(self, shape: Sequence[int]) -> list[int]:
        """Voxels to add at both ends of each axis."""
        sides = list(zip(shape, self.size, strict=True))
        if all(side > patch for side, patch in sides):
            return [0] * len(sides)
        return [max((patch - side) // 2 + self.margin, 0) for side, patch in sides]

    def randomize(self, shape: Sequence[int]) -> None:
        """Draw where the patch starts in a padded volume whose size before was ``shape``."""
        padded = [side + 2 * pad for side, pad in zip(shape, self.pads(shape), strict=True)]
        self.start = [
            int(self.R.randint(0, side - patch)) for side, patch in zip(padded, self.size, strict=True)
        ]

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        """Draw once, cut every key."""
        result = dict(data)
        self.randomize(next(iter(result[key] for key in self.key_iterator(result))).shape[1:])
        for key in self.key_iterator(result):
            result[key] = self.cut(result[key])
        return result

    def cut(self, volume: Tensor) -> Tensor:
        """The patch (C, *size) at the drawn start; metadata stay those of the whole volume."""
        pads = [pad for pad in reversed(self.pads(volume.shape[1:])) for _ in range(2)]
        ranges = [slice(first, first + n) for first, n in zip(self.start, self.size, strict=True)]
        patch = F.pad(plain(volume), pads)[(slice(None), *ranges)].contiguous()
        return MetaTensor(patch, meta=volume.meta) if isinstance(volume, MetaTensor) else patch
