"""Simulated low resolution: down by nearest neighbour, up again by cubic splines.

Volumes are (C, D, H, W).  Source: cotr/docs/method.md#augmentation.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, Randomizable
from monai.utils import convert_to_dst_type
from scipy import ndimage
from torch import Tensor

__all__ = ["RandLowResolutiond", "simulate_low_resolution"]


def simulate_low_resolution(channel: np.ndarray, zoom: float, *, in_plane: bool) -> np.ndarray:
    """One channel (D, H, W), shrunk to ``zoom`` times its size and brought back to it.

    Args:
        channel: voxels.
        zoom: in (0, 1].
        in_plane: leave D as it is.
    """
    shape = np.asarray(channel.shape)
    small = np.maximum(np.round(shape * ([1.0, zoom, zoom] if in_plane else zoom)).astype(int), 1)
    down = ndimage.zoom(channel, small / shape, order=0, mode="nearest", grid_mode=True)
    return ndimage.zoom(down, shape / np.asarray(down.shape), order=3, mode="nearest", grid_mode=True)


class RandLowResolutiond(MapTransform, Randomizable):
    """Lower the resolution of random channels.

    Args:
        keys: images, (C, D, H, W).
        prob: probability that the transform acts at all.
        channel_prob: probability of each channel, once it acts.
        zoom: range of the factor, uniform, drawn for each channel.
        in_plane: leave the first axis as it is.
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        prob: float = 0.25,
        channel_prob: float = 0.5,
        zoom: tuple[float, float] = (0.5, 1.0),
        in_plane: bool = False,
    ) -> None:
        super().__init__(keys)
        self.prob, self.channel_prob, self.zoom, self.in_plane = prob, channel_prob, zoom, in_plane
        self.zooms: list[float | None] = []

    def randomize(self, channels: int) -> None:
        """Draw the factor of every channel, None where it stays as it is."""
        acts = self.R.random() < self.prob
        self.zooms = [
            self.R.uniform(*self.zoom) if acts and self.R.random() < self.channel_prob else None
            for _ in range(channels)
        ]

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        """Draw and apply for every key."""
        result = dict(data)
        for key in self.key_iterator(result):
            image = result[key]
            self.randomize(image.shape[0])
            if any(zoom is not None for zoom in self.zooms):
                result[key] = self._apply(image)
        return result

    def _apply(self, image: Tensor) -> Tensor:
        channels = [
            channel if zoom is None else simulate_low_resolution(channel, zoom, in_plane=self.in_plane)
            for channel, zoom in zip(np.asarray(image.cpu(), dtype=np.float32), self.zooms, strict=True)
        ]
        return convert_to_dst_type(torch.from_numpy(np.stack(channels)), image)[0]
