"""Random transforms of an image that draw anew for each of its channels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Randomizable
from torch import Tensor

from common.tensors.plain import plain

__all__ = ["RandPerChanneld"]


class RandPerChanneld(MapTransform, Randomizable, ABC):
    """With some probability act at all, and then on each channel with a probability of its own.

    Subclasses say what is drawn for a channel (:meth:`draw`) and how it changes (:meth:`change`).

    Args:
        keys: images (C, *spatial), each with its own draws.
        prob: probability that anything happens.
        channel_prob: probability of each channel, once it does.
        allow_missing_keys: pass cases without a key.
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        prob: float,
        channel_prob: float = 1.0,
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        self.prob, self.channel_prob = prob, channel_prob
        self.drawn: list[Any] = []

    @abstractmethod
    def draw(self) -> Any:
        """What decides the change of one channel; not None."""

    @abstractmethod
    def change(self, channel: Tensor, drawn: Any) -> Tensor:
        """A channel (*spatial), float32, to another of the same size."""

    def randomize(self, channels: int) -> None:
        """Draw for every channel; None where it stays as it is."""
        acts = self.R.random() < self.prob
        self.drawn = [
            self.draw() if acts and (self.channel_prob >= 1 or self.R.random() < self.channel_prob) else None
            for _ in range(channels)
        ]

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        """Draw and apply for every key; float32 where anything happened."""
        result = dict(data)
        for key in self.key_iterator(result):
            image = result[key]
            self.randomize(image.shape[0])
            if any(drawn is not None for drawn in self.drawn):
                values = plain(image).to(torch.float32)
                channels = [
                    channel if drawn is None else self.change(channel, drawn)
                    for channel, drawn in zip(values, self.drawn, strict=True)
                ]
                changed = torch.stack(channels)
                result[key] = (
                    MetaTensor(changed, meta=image.meta) if isinstance(image, MetaTensor) else changed
                )
        return result
