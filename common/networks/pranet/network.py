"""PraNet: a coarse map from the deep features, refined by looking where it finds nothing.

A partial decoder joins the three deepest stages to a global map; three reverse attention stages, from deep
to fine, erase what has been found so far from their features and add what they find in the rest.

Axes: B batch, C channels, (H, W) height and width, each a multiple of 32.  Stages 2, 3, 4 of the encoder
have strides 8, 16, 32.

Source: Fan et al., PraNet, MICCAI 2020 (vptta/docs/method.md#segmentation-net-2).
"""

from __future__ import annotations

from typing import Union

import torch
from monai.networks.blocks import Convolution
from torch import Tensor, nn
from torch.nn import functional

from common.networks.res2net.network import WIDTHS, Res2Net

__all__ = ["PraNet"]


def _conv(in_channels: int, out_channels: int, kernel_size: int | tuple[int, int], **options) -> Convolution:
    """Convolution without bias, then batch norm; no activation unless given."""
    options = {"act": None, "norm": "batch", "bias": False, **options}
    return Convolution(2, in_channels, out_channels, kernel_size=kernel_size, **options)


def _resized(x: Tensor, height: int, width: int) -> Tensor:
    return functional.interpolate(x, size=[height, width], mode="bilinear", align_corners=False)


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=True)


class ReceptiveField(nn.Module):
    """Four branches with growing receptive fields, joined, plus a shortcut (RFB).

    Args:
        in_channels: C of the input.
        out_channels: C of the result and of each branch.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        width = out_channels
        self.branches = nn.ModuleList([nn.Sequential(_conv(in_channels, width, 1))])
        for size in (3, 5, 7):
            self.branches.append(
                nn.Sequential(
                    _conv(in_channels, width, 1),
                    _conv(width, width, (1, size)),
                    _conv(width, width, (size, 1)),
                    _conv(width, width, 3, dilation=size),
                )
            )
        self.join = _conv(4 * width, width, 3)
        self.shortcut = _conv(in_channels, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, out_channels, H, W)."""
        seen: list[Tensor] = []
        for branch in self.branches:
            seen.append(branch(x))
        return functional.relu(self.join(torch.cat(seen, dim=1)) + self.shortcut(x))


class PartialDecoder(nn.Module):
    """The three deepest stages multiplied and joined to one map.

    Args:
        channels: C of each stage.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.ups = nn.ModuleList(_conv(k * channels, k * channels, 3) for k in (1, 1, 1, 1, 2))
        self.join3 = _conv(2 * channels, 2 * channels, 3)
        self.join2 = _conv(3 * channels, 3 * channels, 3)
        self.mix = _conv(3 * channels, 3 * channels, 3)
        self.head = nn.Conv2d(3 * channels, 1, 1)

    def forward(self, stage4: Tensor, stage3: Tensor, stage2: Tensor) -> Tensor:
        """Maps at strides 32, 16, 8 to logits (B, 1, H/8, W/8)."""
        up4, up3 = _doubled(stage4), _doubled(stage3)
        product3 = self.ups[0](up4) * stage3
        product2 = self.ups[1](_doubled(up4)) * self.ups[2](up3) * stage2
        joined3 = self.join3(torch.cat([product3, self.ups[3](up4)], dim=1))
        joined2 = self.join2(torch.cat([product2, self.ups[4](_doubled(joined3))], dim=1))
        return self.head(self.mix(joined2))


class ReverseAttention(nn.Module):
    """Correct a map, from the features in the places that the map excludes.

    Args:
        in_channels: C of the encoder's stage.
        channels: C of the inner convolutions.
        kernel_size: kernel size of the inner convolutions.
        convs: number of inner convolutions.
        last_kernel_size: kernel size of the convolution that makes the correction.
    """

    def __init__(
        self, in_channels: int, channels: int, *, kernel_size: int, convs: int, last_kernel_size: int
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(_conv(in_channels, channels, 1))
        for _ in range(convs):
            self.layers.append(_conv(channels, channels, kernel_size, act="relu"))
        self.layers.append(_conv(channels, 1, last_kernel_size))

    def forward(self, features: Tensor, found: Tensor) -> Tensor:
        """(B, C, H, W) and logits (B, 1, H, W) to better logits."""
        return self.layers((1 - torch.sigmoid(found)) * features) + found


class PraNet(nn.Module):
    """30,498,319 parameters: the published 32,547,319 without the classifier of the encoder.

    Args:
        in_channels: image channels.
        out_channels: 1, the foreground's logit: reverse attention knows one class.
        channels: C of the receptive fields and of the partial decoder.
        dropout: probability that a channel of the encoder's deepest map is dropped in training.  The paper
            has none; an uncertainty score by repeated passes needs it.

    Raises:
        ValueError: ``out_channels`` is not 1.
    """

    #: Input sizes must be multiples of this, (H, W) in pixels.
    size_multiple = (32, 32)

    def __init__(
        self, in_channels: int = 3, out_channels: int = 1, *, channels: int = 32, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if out_channels != 1:
            raise ValueError(
                f"PraNet: out_channels={out_channels}; expected 1, it separates one class from the rest"
            )
        self.encoder = Res2Net(in_channels)
        self.dropout = nn.Dropout2d(dropout)
        self.fields = nn.ModuleList(ReceptiveField(width, channels) for width in WIDTHS[1:])
        self.decoder = PartialDecoder(channels)
        self.reverse4 = ReverseAttention(WIDTHS[3], 256, kernel_size=5, convs=3, last_kernel_size=1)
        self.reverse3 = ReverseAttention(WIDTHS[2], 64, kernel_size=3, convs=2, last_kernel_size=3)
        self.reverse2 = ReverseAttention(WIDTHS[1], 64, kernel_size=3, convs=2, last_kernel_size=3)

    def forward(self, x: Tensor) -> Union[Tensor, list[Tensor]]:  # noqa: UP007 (TorchScript reads this)
        """(B, in_channels, H, W), sizes multiples of 32, to logits (B, 1, H, W).

        Returns:
            In eval mode the finest map.  In training mode four: the global one, then those after the
            reverse attention of stages 4, 3 and 2.

        Raises:
            ValueError: a size is not a multiple of 32.
        """
        height, width = x.shape[2], x.shape[3]
        if height % 32 or width % 32:
            raise ValueError(
                f"PraNet: input size {[height, width]} must be multiples of 32; resize or pad the image"
            )
        stages: list[Tensor] = self.encoder(x)
        stage2, stage3, stage4 = stages[1], stages[2], self.dropout(stages[3])
        found = self.decoder(self.fields[2](stage4), self.fields[1](stage3), self.fields[0](stage2))
        maps = [found]
        found = self.reverse4(stage4, _resized(found, height // 32, width // 32))
        maps.append(found)
        found = self.reverse3(stage3, _resized(found, height // 16, width // 16))
        maps.append(found)
        found = self.reverse2(stage2, _resized(found, height // 8, width // 8))
        if not self.training:
            return _resized(found, height, width)
        maps.append(found)
        return [_resized(one, height, width) for one in maps]
