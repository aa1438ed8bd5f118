"""Nested classes: each sigmoid channel holds a class together with those inside it.

Of K classes with background the network has K - 1 channels.  Fundus: channel 0 is the disc with the
cup, channel 1 the cup; the label map on disk has 0 background, 1 disc rim, 2 cup.

Axes: C = K - 1 channels, *S spatial.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from torch import Tensor

from common.tensors.nested import nested_label

__all__ = ["NestedLabeld", "NestedThresholdd"]


class NestedThresholdd(MapTransform):
    """Logits (C, *S) to channels of 0 and 1, uint8: probability at least 0.5.

    Args:
        keys: logits.
    """

    def __init__(self, keys: KeysCollection) -> None:
        super().__init__(keys)

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        """Threshold every key."""
        result = dict(data)
        for key in self.key_iterator(result):
            result[key] = (result[key] >= 0).to(torch.uint8)
        return result


class NestedLabeld(MapTransform):
    """Nested channels of 0 and 1 to a label map.

    Args:
        keys: channels of 0 and 1.
    """

    def __init__(self, keys: KeysCollection) -> None:
        super().__init__(keys)

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        """Convert every key."""
        result = dict(data)
        for key in self.key_iterator(result):
            channels = result[key]
            label = nested_label(channels.as_tensor() if isinstance(channels, MetaTensor) else channels)
            result[key] = MetaTensor(label, meta=channels.meta) if isinstance(channels, MetaTensor) else label
        return result
