"""Apply a transform to random channels of an image."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.transforms import MapTransform, Randomizable, Transform
from torch import Tensor

__all__ = ["RandPerChanneld"]


class RandPerChanneld(MapTransform, Randomizable):
    """With some probability act at all, and then on each channel with a probability of its own.

    Args:
        keys: images (C, *spatial).
        transform: array transform of one channel (1, *spatial), random or not.
        prob: probability that anything happens.
        channel_prob: probability of each channel, once it does.
    """

    def __init__(
        self, keys: KeysCollection, *, transform: Transform, prob: float, channel_prob: float
    ) -> None:
        super().__init__(keys)
        self.transform, self.prob, self.channel_prob = transform, prob, channel_prob
        self.chosen: list[bool] = []

    def set_random_state(
        self, seed: int | None = None, state: np.random.RandomState | None = None
    ) -> RandPerChanneld:
        """Seed this transform and the one inside."""
        super().set_random_state(seed, state)
        if isinstance(self.transform, Randomizable):
            self.transform.set_random_state(seed, state)
        return self

    def randomize(self, channels: Any) -> None:
        """Draw the channels to act on."""
        acts = self.R.random() < self.prob
        self.chosen = [acts and self.R.random() < self.channel_prob for _ in range(channels)]

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        """Draw and apply for every key."""
        result = dict(data)
        for key in self.key_iterator(result):
            image = result[key]
            self.randomize(image.shape[0])
            if any(self.chosen):
                image = image.clone()
                for i, chosen in enumerate(self.chosen):
                    if chosen:
                        image[i : i + 1] = self.transform(image[i : i + 1])
                result[key] = image
        return result
