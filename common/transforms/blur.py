"""Gaussian blur of random channels.

Source: cotr/docs/method.md#augmentation (SciPy's filter, by batchgenerators).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from monai.config import KeysCollection
from scipy.ndimage import gaussian_filter
from torch import Tensor

from common.transforms.per_channel import RandPerChanneld

__all__ = ["RandChannelBlurd"]


class RandChannelBlurd(RandPerChanneld):
    """Blur channels, equally along all axes; the border is reflected, repeating the outermost voxel.

    Args:
        keys: images (C, *spatial).
        sigma: range of the standard deviation in voxels, uniform.
        settings: of :class:`RandPerChanneld`.
    """

    def __init__(self, keys: KeysCollection, *, sigma: Sequence[float] = (0.5, 1.0), **settings: Any) -> None:
        super().__init__(keys, **settings)
        self.sigma = tuple(sigma)

    def draw(self) -> float:
        """The standard deviation."""
        return self.R.uniform(*self.sigma)

    def change(self, channel: Tensor, drawn: float) -> Tensor:
        """The channel blurred."""
        return torch.from_numpy(gaussian_filter(channel.numpy(), drawn, mode="reflect"))
