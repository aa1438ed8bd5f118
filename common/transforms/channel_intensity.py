"""Brightness, contrast and gamma of an image's channels, drawn and computed as batchgenerators does.

Source: cotr/docs/method.md#augmentation; trid/docs/method.md#prostate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from monai.config import KeysCollection
from torch import Tensor

from common.transforms.draws import around_one
from common.transforms.per_channel import RandPerChanneld

__all__ = ["RandChannelContrastd", "RandChannelGammad", "RandChannelOffsetd", "RandChannelScaled"]

_SMALL = 1e-7  # a channel without contrast has no range to divide by


class RandChannelScaled(RandPerChanneld):
    """Multiply each channel by a factor of its own.

    Args:
        keys: images (C, *spatial).
        factor: range, uniform.
        settings: of :class:`RandPerChanneld`.
    """

    def __init__(
        self, keys: KeysCollection, *, factor: Sequence[float] = (0.75, 1.25), **settings: Any
    ) -> None:
        super().__init__(keys, **settings)
        self.factor = tuple(factor)

    def draw(self) -> float:
        """The factor."""
        return self.R.uniform(*self.factor)

    def change(self, channel: Tensor, drawn: float) -> Tensor:
        """The channel multiplied."""
        return channel * drawn


class RandChannelOffsetd(RandPerChanneld):
    """Add an offset to each channel, drawn for it alone.

    Args:
        keys: images (C, *spatial).
        sd: of the normal distribution about 0 from which the offset is drawn.
        settings: of :class:`RandPerChanneld`.
    """

    def __init__(self, keys: KeysCollection, *, sd: float = 0.1, **settings: Any) -> None:
        super().__init__(keys, **settings)
        self.sd = sd

    def draw(self) -> float:
        """The number."""
        return self.R.normal(0.0, self.sd)

    def change(self, channel: Tensor, drawn: float) -> Tensor:
        """The channel with the number added."""
        return channel + drawn


class RandChannelContrastd(RandPerChanneld):
    """Stretch each channel about its own mean by a factor of its own, and clip it to the range it had.

    Args:
        keys: images (C, *spatial).
        factor: range, half of the time below 1.
        settings: of :class:`RandPerChanneld`.
    """

    def __init__(
        self, keys: KeysCollection, *, factor: Sequence[float] = (0.75, 1.25), **settings: Any
    ) -> None:
        super().__init__(keys, **settings)
        self.factor = tuple(factor)

    def draw(self) -> float:
        """The factor."""
        return around_one(self.R.uniform, *self.factor)

    def change(self, channel: Tensor, drawn: float) -> Tensor:
        """The channel stretched."""
        mean = channel.mean()
        return ((channel - mean) * drawn + mean).clamp(channel.min(), channel.max())


class RandChannelGammad(RandPerChanneld):
    """Raise each channel, brought to 0..1, to a power of its own, and bring it back.

    Args:
        keys: images (C, *spatial).
        gamma: range of the exponent, half of the time below 1.
        invert: of the negated image.
        retain_stats: restore the channel's mean and standard deviation afterwards.
        settings: of :class:`RandPerChanneld`.
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        gamma: Sequence[float] = (0.7, 1.5),
        invert: bool = False,
        retain_stats: bool = True,
        **settings: Any,
    ) -> None:
        super().__init__(keys, **settings)
        self.gamma, self.invert, self.retain_stats = tuple(gamma), invert, retain_stats

    def draw(self) -> float:
        """The exponent."""
        return around_one(self.R.uniform, *self.gamma)

    def change(self, channel: Tensor, drawn: float) -> Tensor:
        """The channel after the power."""
        values = -channel if self.invert else channel
        low, span = values.min(), values.max() - values.min() + _SMALL
        bent = ((values - low) / span) ** drawn * span + low
        if self.retain_stats:
            scale = values.std(correction=0) / (bent.std(correction=0) + 1e-8)
            bent = (bent - bent.mean()) * scale + values.mean()
        return -bent if self.invert else bent
