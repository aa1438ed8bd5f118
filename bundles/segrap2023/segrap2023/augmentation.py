"""Gamma of the baseline's training: an exponent of its own for each channel, all channels or none.

Source: segrap2023/docs/method.md#training.
"""

from __future__ import annotations

from typing import Any

from monai.config import KeysCollection

from common.transforms.channel_intensity import RandChannelGammad

__all__ = ["RandPlainGammad"]


class RandPlainGammad(RandChannelGammad):
    """Raise each channel, brought to 0..1 by its own extremes, to a power drawn uniformly, and bring it back.

    Args:
        keys: images (C, *spatial).
        gamma: range of the exponent.
        prob: that it happens, to all channels.
    """

    def __init__(self, keys: KeysCollection, *, gamma: tuple[float, float] = (0.7, 1.5), prob: float) -> None:
        super().__init__(keys, gamma=gamma, invert=False, retain_stats=False, prob=prob)

    def draw(self) -> Any:
        """The exponent."""
        return self.R.uniform(*self.gamma)
