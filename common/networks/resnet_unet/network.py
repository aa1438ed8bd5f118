"""The U-Net on a ResNet encoder that the fundus, polyp and prostate methods share.

With the 32-channel tail it is the network of vptta, grata and trid; without it that of prosfda, ccsdg and
hitta.  A module ``style`` may change the encoder's maps in training (TriD, MixStyle): the skips and the
deeper layers come after it.

Axes: B batch, C channels, (H, W) height and width, each a multiple of 32.  Maps are listed finest first:
the stem's at stride 2, layer1's at 4, layer2's at 8, layer3's at 16, layer4's at 32.

Source: vptta/docs/method.md#segmentation-net-1; the encoder is MONAI's ResNet, whose names are those of the
public ImageNet weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.nets.resnet import ResNet
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["ResNetUNet", "UpBlock"]

#: Channels of the encoder's four layers.
WIDTHS = (64, 128, 256, 512)
#: Depth -> MONAI's name of the block, blocks of the four layers, channels of a block's output per width.
_DEPTHS = {34: ("basic", (3, 4, 6, 3), 1), 50: ("bottleneck", (3, 4, 6, 3), 4)}
_STYLE_POSITIONS = ("layer0", "layer1", "layer2", "layer3", "layer4")


class UpBlock(nn.Module):
    """Double the deep map, join it with the skip, then ReLU and only then batch norm.

    Args:
        deep_channels: C of the deep map.
        skip_channels: C of the skip.
        out_channels: C of the result, half from the deep map, half from the skip.
    """

    def __init__(self, deep_channels: int, skip_channels: int, out_channels: int) -> None:
        super().__init__()
        self.skip = nn.Conv2d(skip_channels, out_channels // 2, 1)
        self.deep = nn.ConvTranspose2d(deep_channels, out_channels // 2, 2, stride=2)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        """(B, C, H, W) and (B, C', 2H, 2W) to (B, out_channels, 2H, 2W)."""
        return self.norm(functional.relu(torch.cat([self.deep(deep), self.skip(skip)], dim=1)))


def _head(in_channels: int, out_channels: int, tail_channels: int | None) -> nn.Sequential:
    head = nn.Sequential()
    up = nn.ConvTranspose2d(in_channels, tail_channels or out_channels, kernel_size=2, stride=2)
    head.add_module("up", up)
    if tail_channels is not None:
        head.add_module("norm", nn.BatchNorm2d(tail_channels))
        head.add_module("act", nn.ReLU())
        head.add_module("conv", nn.Conv2d(tail_channels, out_channels, 1))
    return head


class ResNetUNet(nn.Module):
    """Parameters with three inputs and two outputs: 22,041,570 at depth 34, 22,010,690 without the tail.

    Args:
        in_channels: image channels.
        out_channels: sigmoid channels: nested classes without the background.
        depth: of the ResNet, 34 or 50.
        widths: channels of the encoder's four layers; the decoder's maps have four times the first.
        tail_channels: C between the last up-sampling and the 1x1 head; None up-samples straight to the
            logits.
        style: changes maps (B, C, H, W) of the encoder, only in training; None for none.  The same module
            is used at every position.  It must have no parameters, so that weights fit with and
            without it.
        style_after: where it is used: "layer0" (the stem) to "layer4".
        dropout: probability that a channel of the deepest map is dropped in training.  The papers have
            none; an uncertainty score by repeated passes needs it.

    Raises:
        ValueError: an unknown depth or position; a style with parameters.
    """

    #: Input sizes must be multiples of this, (H, W) in pixels.
    size_multiple = (32, 32)

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 2,
        *,
        depth: int = 34,
        widths: Sequence[int] = WIDTHS,
        tail_channels: int | None = 32,
        style: nn.Module | None = None,
        style_after: Sequence[str] = ("layer1", "layer2"),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if depth not in _DEPTHS:
            raise ValueError(f"ResNetUNet: depth={depth}; expected one of {', '.join(map(str, _DEPTHS))}")
        unknown = sorted(set(style_after) - set(_STYLE_POSITIONS))
        if unknown:
            raise ValueError(
                f"ResNetUNet: style_after={unknown[0]!r}; expected words of {', '.join(_STYLE_POSITIONS)}"
            )
        if style is not None and any(True for _ in style.parameters()):
            raise ValueError("ResNetUNet: the style module has parameters; weights would not fit without it")
        block, blocks, expansion = _DEPTHS[depth]
        self.encoder = ResNet(
            block,
            list(blocks),
            list(widths),
            spatial_dims=2,
            n_input_channels=in_channels,
            conv1_t_stride=2,
            feed_forward=False,
            bias_downsample=False,
        )
        self.style = nn.Identity() if style is None else style
        self.styled = [style is not None and name in style_after for name in _STYLE_POSITIONS]
        skips = [widths[0]] + [width * expansion for width in widths]
        decoder_width = 4 * widths[0]
        self.blocks = nn.ModuleList()
        deep = skips.pop()
        for skip in reversed(skips):
            self.blocks.append(UpBlock(deep, skip, decoder_width))
            deep = decoder_width
        self.dropout = nn.Dropout2d(dropout)
        self.head = _head(decoder_width, out_channels, tail_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W), sizes multiples of 32, to logits (B, out_channels, H, W).

        Raises:
            ValueError: a size is not a multiple of 32.
        """
        return self.head(self.decode(self.encode(x)))

    def encode(self, x: Tensor) -> list[Tensor]:
        """The image to the five maps of the encoder.

        Raises:
            ValueError: a size is not a multiple of 32.
        """
        if x.shape[2] % 32 or x.shape[3] % 32:
            raise ValueError(
                f"ResNetUNet: input size {list(x.shape[2:])} must be multiples of 32; resize or pad the image"
            )
        return self.encode_after_first_convolution(self.encoder.conv1(x))

    def encode_after_first_convolution(self, x: Tensor) -> list[Tensor]:
        """``encoder.conv1(image)``, or a part of it (ccsdg's prompt), to the five maps."""
        x = self._styled(self.encoder.act(self.encoder.bn1(x)), 0)
        maps = [x]
        x = self._styled(self.encoder.layer1(self.encoder.maxpool(x)), 1)
        maps.append(x)
        x = self._styled(self.encoder.layer2(x), 2)
        maps.append(x)
        x = self._styled(self.encoder.layer3(x), 3)
        maps.append(x)
        x = self._styled(self.encoder.layer4(x), 4)
        maps.append(x)
        return maps

    def _styled(self, x: Tensor, position: int) -> Tensor:
        return self.style(x) if self.styled[position] else x

    def decode(self, maps: list[Tensor]) -> Tensor:
        """The five maps to the decoder's last one, (B, 256, H/2, W/2) at full width."""
        x = self.dropout(functional.relu(maps[-1]))  # a style after layer4 may have made it negative
        for i, block in enumerate(self.blocks):
            x = block(x, maps[len(maps) - 2 - i])
        return x
