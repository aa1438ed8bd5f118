"""Simulated low resolution: down by nearest neighbour, up again by cubic splines.

Source: cotr/docs/method.md#augmentation (scikit-image's ``resize``, by batchgenerators).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from scipy import ndimage
from torch import Tensor

from common.transforms.per_channel import RandPerChanneld

__all__ = ["RandLowResolutiond", "simulate_low_resolution"]


def simulate_low_resolution(channel: np.ndarray, zoom: float, *, in_plane: bool) -> np.ndarray:
    """One channel (*spatial), shrunk to ``zoom`` times its size and resized back.

    Splines overshoot: as in scikit-image the result is clipped to the range of the small channel.

    Args:
        channel: voxels.
        zoom: in (0, 1].
        in_plane: leave the first axis as it is.
    """
    shape = np.asarray(channel.shape)
    factors = np.full(len(shape), zoom)
    if in_plane:
        factors[0] = 1.0
    small = np.maximum(np.round(shape * factors).astype(int), 1)
    down = ndimage.zoom(channel, small / shape, order=0, mode="nearest", grid_mode=True)
    up = ndimage.zoom(down, shape / np.asarray(down.shape), order=3, mode="nearest", grid_mode=True)
    return np.clip(up, down.min(), down.max())


class RandLowResolutiond(RandPerChanneld):
    """Lower the resolution of random channels.

    Args:
        keys: images (C, *spatial).
        zoom: range of the factor, uniform.
        in_plane: leave the first axis as it is.
        settings: of :class:`RandPerChanneld`.
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        zoom: Sequence[float] = (0.5, 1.0),
        in_plane: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__(keys, **settings)
        self.zoom, self.in_plane = tuple(zoom), in_plane

    def draw(self) -> float:
        """The factor."""
        return self.R.uniform(*self.zoom)

    def change(self, channel: Tensor, drawn: float) -> Tensor:
        """The channel at the lower resolution."""
        return torch.from_numpy(simulate_low_resolution(channel.numpy(), drawn, in_plane=self.in_plane))
