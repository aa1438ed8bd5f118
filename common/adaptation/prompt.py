"""The prompt of VPTTA as a module: learnable factors of an image's lowest amplitudes.

Axes: B batch, C channels, (H, W), (s, s) the window of low frequencies.
Source: Chen et al., VPTTA, CVPR 2024, section 3.2 (vptta/docs/method.md#low-frequency-prompt).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from common.kernels.low_frequency_prompt import low_frequencies, low_frequency_prompt

__all__ = ["LowFrequencyPrompt"]


class LowFrequencyPrompt(nn.Module):
    """Multiply the amplitudes of the s * s lowest frequencies by learnable factors; phases do not change.

    Args:
        side: s.
        channels: C.
        channel_roll: as published, where the shift that centres the spectrum runs over the channel axis
            too: factor c then belongs to image channel (c - C // 2) mod C, and so does entry c of a key.
            (The published shift would also roll a batch; batches there have one image.)

    Attributes:
        factors: (1, C, s, s), ones at first.
    """

    def __init__(self, side: int, *, channels: int = 3, channel_roll: bool = True) -> None:
        super().__init__()
        self.factors = nn.Parameter(torch.ones(1, channels, side, side))
        self.roll = channels // 2 if channel_roll else 0

    @property
    def side(self) -> int:
        """Frequencies along one axis, s."""
        return self.factors.size(-1)

    def forward(self, image: Tensor, coefficients: Tensor | None = None) -> Tensor:
        """(B, C, H, W) to the prompted image, of the same shape.

        Args:
            image: real, H and W at least s.
            coefficients: this image's, if already computed (:meth:`coefficients`).

        Raises:
            ValueError: the image has a number of channels other than C, or is smaller than the window.
        """
        return low_frequency_prompt(image, self.factors.roll(-self.roll, 1), coefficients)

    def coefficients(self, image: Tensor) -> Tensor:
        """(B, C, H, W) to the window's complex coefficients (B, C, s, s), without gradient."""
        with torch.no_grad():
            return low_frequencies(image, self.side)

    def key(self, coefficients: Tensor) -> Tensor:
        """The key of an image in a memory: its amplitudes in the window, (B, C, s, s)."""
        return coefficients.abs().roll(self.roll, 1)
