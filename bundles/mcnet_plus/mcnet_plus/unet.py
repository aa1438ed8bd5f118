"""The 2D U-Net of MC-Net+ on ACDC: an encoder, and decoders that differ in how they up-sample.

Axes: B batch, C channels, (H, W) the slice, each a multiple of 16.

Source: mcnet_plus/docs/method.md#network-in-2d (the U-Net of the SSL4MIS collection).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

__all__ = ["UNetDecoder", "UNetEncoder"]

WIDTHS = (16, 32, 64, 128, 256)
#: Elementwise dropout at the encoder's levels, as fractions of the deepest level's.
DROPOUT = (0.1, 0.2, 0.4, 0.6, 1.0)
#: Name -> arguments of torch.nn.Upsample; the linear modes align corners.
INTERPOLATIONS = {
    "bilinear": {"mode": "bilinear", "align_corners": True},
    "nearest": {"mode": "nearest"},
    "bicubic": {"mode": "bicubic", "align_corners": True},
}


def _block(channels_in: int, channels: int, dropout: float = 0.0) -> nn.Sequential:
    """3x3 convolution, batch norm and LeakyReLU, twice, with dropout in between."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, 3, padding=1),
        nn.BatchNorm2d(channels),
        nn.LeakyReLU(),
        nn.Dropout(dropout),
        nn.Conv2d(channels, channels, 3, padding=1),
        nn.BatchNorm2d(channels),
        nn.LeakyReLU(),
    )


class UNetEncoder(nn.Module):
    """A block, then max pooling and another block, four times.

    Args:
        in_channels: image channels.
        widths: C of the five levels.
        dropout: probability at the deepest level; 0.1, 0.2, 0.4 and 0.6 times that at the levels above.
    """

    def __init__(self, in_channels: int = 1, *, widths: Sequence[int] = WIDTHS, dropout: float = 0.5) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            _block(a, b, share * dropout)
            for (a, b), share in zip(pairwise([in_channels, *widths]), DROPOUT, strict=True)
        )
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, in_channels, H, W) to maps at strides 1, 2, 4, 8, 16, finest first.

        Raises:
            ValueError: a size is not a multiple of 16.
        """
        if x.shape[2] % 16 or x.shape[3] % 16:
            raise ValueError(
                f"U-Net: input size {list(x.shape[2:])} must be multiples of 16; pad the image or choose "
                "another patch_size"
            )
        maps: list[Tensor] = []
        for i, block in enumerate(self.blocks):
            x = block(x if i == 0 else self.pool(x))
            maps.append(x)
        return maps


class UNetDecoder(nn.Module):
    """Four times: double the size at the skip's width, concatenate [skip, up], a block; then 3x3 to classes.

    Args:
        out_channels: classes, background included.
        upsampling: "transposed", or "bilinear", "nearest", "bicubic" after a 1x1 convolution.
        widths: C of the encoder's levels.

    Raises:
        ValueError: ``upsampling`` is none of these.
    """

    def __init__(
        self, out_channels: int = 4, *, upsampling: str = "bilinear", widths: Sequence[int] = WIDTHS
    ) -> None:
        super().__init__()
        words = ["transposed", *INTERPOLATIONS]
        if upsampling not in words:
            raise ValueError(f"UNetDecoder: upsampling={upsampling!r}; expected one of {words}")
        self.ups, self.blocks = nn.ModuleList(), nn.ModuleList()
        for deep, width in pairwise(reversed(widths)):
            if upsampling == "transposed":
                self.ups.append(nn.ConvTranspose2d(deep, width, 2, stride=2))
            else:
                interpolation = nn.Upsample(scale_factor=2, **INTERPOLATIONS[upsampling])
                self.ups.append(nn.Sequential(nn.Conv2d(deep, width, 1), interpolation))
            self.blocks.append(_block(2 * width, width))
        self.head = nn.Conv2d(widths[0], out_channels, 3, padding=1)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """The encoder's five maps to (B, out_channels, H, W)."""
        x = maps[-1]
        for i, (up, block) in enumerate(zip(self.ups, self.blocks)):  # noqa: B905 (TorchScript has no strict)
            x = block(torch.cat([maps[len(maps) - 2 - i], up(x)], dim=1))
        return self.head(x)
