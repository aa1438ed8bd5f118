"""The V-Net family of semi-supervised segmentation: encoder, decoder, and the plain V-Net of both.

Stages of 3x3x3 convolutions with norm and ReLU, additive skips, no residual inside a stage (unlike
``monai.networks.nets.VNet``).  The encoder can take an additive feedback at every stage; a decoder
chooses its up-sampling, can gate its skips, and can hand out its features from before the skip.

Axes: B batch, C channels, (X, Y, Z) the volume, each a multiple of 16.  Maps of the encoder are listed
finest first, features of a decoder, feedback and gates deepest first.

Source: Yu et al., UA-MT, MICCAI 2019, and its successors (mcnet_plus/docs/method.md#network-in-3d,
lefed/docs/method.md#encoder).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Optional

import torch.nn.functional as F
from monai.networks.layers.utils import get_act_layer, get_norm_layer
from torch import Tensor, nn

from common.blocks.convolution import ConvNormAct, Layer
from common.kernels.upsampled_convolution import nearest_upsampled_conv3d

__all__ = ["UPSAMPLINGS", "VNet", "VNetDecoder", "VNetEncoder"]

WIDTHS = (16, 32, 64, 128, 256)
#: Convolutions of the encoder's five stages; the decoder's four have those of the skip they take up.
DEPTHS = (1, 2, 3, 3, 3)
RELU: Layer = ("relu", {"inplace": True})

#: Word -> number in the authors' code.
UPSAMPLINGS = {"transposed": 0, "trilinear": 1, "nearest": 2}


def _stage(channels_in: int, channels: int, convs: int, norm: Layer) -> nn.Sequential:
    widths = [channels_in] + [channels] * convs
    return nn.Sequential(*(ConvNormAct(a, b, bias=True, norm=norm, act=RELU) for a, b in pairwise(widths)))


class VNetEncoder(nn.Module):
    """Five stages; before each but the first a convolution of kernel and stride 2 halves the size.

    Args:
        in_channels: image channels.
        widths: C of the five stages.
        norm: MONAI norm name with its arguments; ``"batch"``, or ``"instance"`` (without affine).
        dropout: probability that a channel of the deepest map is dropped in training.
    """

    def __init__(
        self,
        in_channels: int = 1,
        *,
        widths: Sequence[int] = WIDTHS,
        norm: Layer = "batch",
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.stages = nn.ModuleList([_stage(in_channels, widths[0], DEPTHS[0], norm)])
        for above, width, convs in zip(widths, widths[1:], DEPTHS[1:], strict=False):
            down = ConvNormAct(above, width, 2, stride=2, bias=True, norm=norm, act=RELU)
            self.stages.append(nn.Sequential(down, *_stage(width, width, convs, norm)))
        self.dropout = nn.Dropout3d(dropout)

    def forward(self, x: Tensor, feedback: Optional[list[Tensor]] = None) -> list[Tensor]:  # noqa: UP045
        """(B, in_channels, X, Y, Z) to maps at strides 1, 2, 4, 8, 16.

        Args:
            x: the image.
            feedback: one map per stage, deepest first, added to the stage's output: it changes the skip
                and what goes deeper.

        Raises:
            ValueError: a size is not a multiple of 16.
        """
        if x.shape[2] % 16 or x.shape[3] % 16 or x.shape[4] % 16:
            raise ValueError(
                f"V-Net: input size {list(x.shape[2:])} must be multiples of 16; pad the image or choose "
                "another patch_size"
            )
        maps: list[Tensor] = []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if feedback is not None:
                x = x + feedback[len(self.stages) - 1 - i]
            maps.append(x)
        maps[-1] = self.dropout(x)
        return maps


class InterpolatedConv3d(nn.Conv3d):
    """Double the size by interpolation, then convolve by 3x3x3.

    Args:
        in_channels: C of the input.
        out_channels: C of the output.
        mode: "trilinear" (align_corners) or "nearest".
    """

    def __init__(self, in_channels: int, out_channels: int, *, mode: str) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1)
        self.mode = mode

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, X, Y, Z) to (B, C', 2X, 2Y, 2Z)."""
        if self.mode == "nearest":
            return nearest_upsampled_conv3d(x, self.weight, self.bias)
        x = F.interpolate(x, scale_factor=2.0, mode="trilinear", align_corners=True)
        return F.conv3d(x, self.weight, self.bias, padding=1)


def _upsampling(kind: str, channels_in: int, channels: int, norm: Layer) -> nn.Sequential:
    """Double the size and change the width, then norm and ReLU."""
    return nn.Sequential(
        nn.ConvTranspose3d(channels_in, channels, 2, stride=2)
        if kind == "transposed"
        else InterpolatedConv3d(channels_in, channels, mode=kind),
        get_norm_layer(norm, spatial_dims=3, channels=channels),
        get_act_layer(RELU),
    )


class VNetDecoder(nn.Module):
    """Four times: double the size, add the encoder's map, convolve; then a 1x1x1 convolution to classes.

    Args:
        out_channels: classes; None for the features alone, where a method brings its own head.
        upsampling: "transposed", "trilinear" (align_corners) or "nearest"; the last two are followed by a
            3x3x3 convolution.
        widths: C of the encoder's stages.
        norm: as in :class:`VNetEncoder`.
        dropout: probability that a channel before the last convolution is dropped in training.
        finest_skip: whether the full-resolution map is added and convolved (versemi: no).

    Raises:
        ValueError: ``upsampling`` is none of these.
    """

    def __init__(
        self,
        out_channels: int | None = 2,
        *,
        upsampling: str = "transposed",
        widths: Sequence[int] = WIDTHS,
        norm: Layer = "batch",
        dropout: float = 0.5,
        finest_skip: bool = True,
    ) -> None:
        super().__init__()
        if upsampling not in UPSAMPLINGS:
            raise ValueError(f"VNetDecoder: upsampling={upsampling!r}; expected one of {list(UPSAMPLINGS)}")
        self.finest_skip = finest_skip
        self.ups, self.stages = nn.ModuleList(), nn.ModuleList()
        for level in (3, 2, 1, 0):
            self.ups.append(_upsampling(upsampling, widths[level + 1], widths[level], norm))
            convs = DEPTHS[level] if level or finest_skip else 0
            self.stages.append(_stage(widths[level], widths[level], convs, norm))
        self.dropout = nn.Dropout3d(dropout)
        self.head = nn.Identity() if out_channels is None else nn.Conv3d(widths[0], out_channels, 1)

    def forward(self, maps: list[Tensor], gates: Optional[list[Tensor]] = None) -> Tensor:  # noqa: UP045
        """The encoder's five maps to (B, out_channels, X, Y, Z).

        Args:
            maps: of :class:`VNetEncoder`, finest first.
            gates: factors for the skips, shaped like the features of :meth:`with_features`, deepest first;
                the deepest map x becomes x + x * gate.
        """
        x = self.bottleneck(maps, gates)
        for i, (up, stage) in enumerate(zip(self.ups, self.stages)):  # noqa: B905 (TorchScript has no strict)
            x = stage(self.merge(up(x), maps, gates, i))
        return self.head(self.dropout(x))

    def with_features(
        self,
        maps: list[Tensor],
        gates: Optional[list[Tensor]] = None,  # noqa: UP045
    ) -> tuple[Tensor, list[Tensor]]:
        """As :meth:`forward`, and the features as well, deepest first.

        They are the (gated) deepest map and the results of the four up-samplings, before the skip is added.
        """
        x = self.bottleneck(maps, gates)
        features = [x]
        for i, (up, stage) in enumerate(zip(self.ups, self.stages)):  # noqa: B905
            x = up(x)
            features.append(x)
            x = stage(self.merge(x, maps, gates, i))
        return self.head(self.dropout(x)), features

    def bottleneck(self, maps: list[Tensor], gates: Optional[list[Tensor]]) -> Tensor:  # noqa: UP045
        """The decoder's input: the deepest map, gated."""
        x = maps[-1]
        return x if gates is None else x + x * gates[0]

    def merge(self, x: Tensor, maps: list[Tensor], gates: Optional[list[Tensor]], step: int) -> Tensor:  # noqa: UP045
        """Add the skip of the ``step``-th up-sampling, gated."""
        skip = maps[len(maps) - 2 - step]
        if step == 3 and not self.finest_skip:
            return x
        return x + skip if gates is None else x + skip * gates[step + 1]


class VNet(nn.Module):
    """The plain V-Net of UA-MT: 9,448,866 parameters with one input and two output channels.

    Args:
        in_channels: image channels.
        out_channels: classes, background included.
        upsampling: as in :class:`VNetDecoder`.
        widths: C of the five stages.
        norm: MONAI norm name with its arguments.
        dropout: probability at the deepest map and before the last convolution.
    """

    #: Input sizes must be multiples of this, (X, Y, Z) in voxels.
    size_multiple = (16, 16, 16)

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 2,
        *,
        upsampling: str = "transposed",
        widths: Sequence[int] = WIDTHS,
        norm: Layer = "batch",
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        options = {"widths": widths, "norm": norm, "dropout": dropout}
        self.encoder = VNetEncoder(in_channels, **options)
        self.decoder = VNetDecoder(out_channels, upsampling=upsampling, **options)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, X, Y, Z), sizes multiples of 16, to logits (B, out_channels, X, Y, Z)."""
        return self.decoder(self.encoder(x))
