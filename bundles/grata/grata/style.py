"""Strong style augmentation: brightness, contrast, gamma, noise and blur, drawn before they are applied.

Axes: C channels, (H, W); values lie in [0, 1] before, and may leave it after.
Source: grata/docs/method.md#strong-style-augmentation (batchgenerators' transforms).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from monai.networks.layers import gaussian_1d, separable_filtering
from torch import Tensor

from common.transforms.draws import around_one

__all__ = ["Style", "StyleDraw", "min_max", "restyle"]

_SMALL = 1e-7  # of batchgenerators: a channel without contrast has no range to divide by


@dataclass(frozen=True)
class Style:
    """What was drawn for one image; None where a change is left out.

    Attributes:
        brightness: factor of each channel.
        contrast: factor of each channel's deviation from its mean.
        gamma: exponent for each channel of the inverted image.
        noise: (C, H, W), to be added.
        blur: standard deviation in pixels for each channel, None for one that stays sharp.
    """

    brightness: tuple[float, ...] | None = None
    contrast: tuple[float, ...] | None = None
    gamma: tuple[float, ...] | None = None
    noise: Tensor | None = None
    blur: tuple[float | None, ...] | None = None


class StyleDraw:
    """Draws the published strong styles, the same ones on every device.

    Args:
        generator: on the CPU; its state is part of a stream's.
    """

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator

    def __call__(self, shape: Sequence[int]) -> Style:
        """For an image (C, H, W)."""
        channels = range(shape[0])
        brightness = tuple(self._uniform(0.5, 1.5) for _ in channels) if self._chance(0.75) else None
        contrast = (
            tuple(around_one(self._uniform, 0.5, 1.5) for _ in channels) if self._chance(0.75) else None
        )
        gamma = tuple(around_one(self._uniform, 0.5, 2.0) for _ in channels) if self._chance(0.75) else None
        noise = self._noise(shape) if self._chance(0.5) else None
        blur = tuple(self._blur() for _ in channels) if self._chance(0.5) else None
        return Style(brightness, contrast, gamma, noise, blur)

    def _uniform(self, low: float, high: float) -> float:
        return low + (high - low) * torch.rand((), generator=self.generator, dtype=torch.float64).item()

    def _chance(self, probability: float) -> bool:
        return self._uniform(0, 1) < probability

    def _noise(self, shape: Sequence[int]) -> Tensor:
        return self._uniform(0, 0.05) * torch.randn(tuple(shape), generator=self.generator)

    def _blur(self) -> float | None:
        return self._uniform(0.5, 1.5) if self._chance(0.5) else None


def restyle(image: Tensor, style: Style) -> Tensor:
    """(1, C, H, W) to the changed image, a new tensor: the given one is needed for the prediction."""
    x = image.clone()
    if style.brightness is not None:
        x = x * _each(style.brightness, x)
    if style.contrast is not None:
        low, high = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
        mean = x.mean((2, 3), keepdim=True)
        x = torch.clamp((x - mean) * _each(style.contrast, x) + mean, low, high)
    if style.gamma is not None:
        x = -_gamma(-x, _each(style.gamma, x))
    if style.noise is not None:
        x = x + style.noise.to(x)
    if style.blur is not None:
        x = torch.cat([_blurred(x[:, i : i + 1], sigma) for i, sigma in enumerate(style.blur)], dim=1)
    return x


def min_max(image: Tensor) -> Tensor:
    """(1, C, H, W) to [0, 1], by one minimum and one maximum over all channels."""
    low, high = image.aminmax()
    return (image - low) / (high - low).clamp_min(_SMALL)


def _each(factors: Sequence[float], x: Tensor) -> Tensor:
    return torch.tensor(factors, dtype=x.dtype, device=x.device).view(1, -1, 1, 1)


def _gamma(x: Tensor, exponents: Tensor) -> Tensor:
    low = x.amin((2, 3), keepdim=True)
    span = x.amax((2, 3), keepdim=True) - low + _SMALL
    return ((x - low) / span) ** exponents * span + low


def _blurred(channel: Tensor, sigma: float | None) -> Tensor:
    if sigma is None:
        return channel
    kernel = gaussian_1d(torch.tensor(sigma), truncated=4.0, approx="sampled", normalize=True)
    border = len(kernel) // 2
    for axis in (-2, -1):  # reflected, outermost row repeated: PyTorch's own reflection leaves it out
        ends = channel.narrow(axis, 0, border), channel.narrow(axis, channel.shape[axis] - border, border)
        channel = torch.cat([ends[0].flip(axis), channel, ends[1].flip(axis)], dim=axis)
    filtered = separable_filtering(channel, [kernel.to(channel)] * 2, mode="constant")
    return filtered[..., border:-border, border:-border]
