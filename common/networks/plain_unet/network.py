"""nnU-Net's plain U-Net in 2D and 3D: encoder, decoder, and the network of both.

Each stage has two convolutions with instance norm and leaky ReLU, the first of which carries the stride.
Going up, the map of a transposed convolution (kernel = stride, no bias) is concatenated with the skip in that
order, and two convolutions follow.  A plan fixes widths, kernels and strides:

    kernels[i]   of the encoder's stage i, finest first
    strides[i]   from stage i to stage i + 1
    a decoder level that ends at stage i has kernels[i + 1]

Axes: B batch, C channels, spatial axes S.  Maps are listed finest first.

Source: Isensee et al., nnU-Net, Nature Methods 2021, version 1 of the code (class ``Generic_UNet``); kernel
rule: kits21/docs/method.md#plain-u-net.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Optional, Union  # needed by TorchScript

import torch
from torch import Tensor, nn

__all__ = ["FILTERS", "ConvBlock", "DecoderLevel", "PlainDecoder", "PlainEncoder", "PlainUNet"]

FILTERS = (32, 64, 128, 256, 320, 320)
Size = Union[int, Sequence[int]]  # noqa: UP007 (TorchScript reads this module)

_CONVOLUTION = {2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_NORM = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
_DROPOUT = {2: nn.Dropout2d, 3: nn.Dropout3d}


class ConvolutionByChannels(nn.Module):
    """Several convolutions to one width, of which the one that takes the input's channels acts."""

    def __init__(self, dims: int, in_channels: Sequence[int], out_channels: int, **options: object) -> None:
        super().__init__()
        self.of = nn.ModuleList(_CONVOLUTION[dims](one, out_channels, **options) for one in in_channels)
        self.channels = [int(one) for one in in_channels]

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, *S) to (B, width, *S').

        Raises:
            ValueError: no convolution takes C channels.
        """
        for choice, convolution in enumerate(self.of):
            if x.shape[1] == self.channels[choice]:
                return convolution(x)
        raise ValueError(f"the image has {x.shape[1]} channels; this network takes {self.channels}")


class ConvBlock(nn.Sequential):
    """Convolution, dropout if any, instance norm, leaky ReLU.

    Args:
        dims: 2 or 3.
        in_channels: C of the input, or the choice among several.
        out_channels: C of the output.
        kernel: an odd number, or one per axis; padded by half of it.
        stride: one number, or one per axis.
        bias: of the convolution; the norm cancels it.
        dropout: probability that a channel is dropped.
    """

    def __init__(
        self,
        dims: int,
        in_channels: Size,
        out_channels: int,
        *,
        kernel: Size = 3,
        stride: Size = 1,
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        sides = _per_axis(kernel, dims)
        options = {
            "kernel_size": sides,
            "stride": _per_axis(stride, dims),
            "padding": tuple(side // 2 for side in sides),
            "bias": bias,
        }
        if isinstance(in_channels, int):
            self.conv = _CONVOLUTION[dims](in_channels, out_channels, **options)
        else:
            self.conv = ConvolutionByChannels(dims, in_channels, out_channels, **options)
        if dropout:
            self.dropout = _DROPOUT[dims](dropout)
        self.norm = _NORM[dims](out_channels, eps=1e-5, affine=True)
        self.act = nn.LeakyReLU(0.01, inplace=True)


class PlainEncoder(nn.Module):
    """Stages of two convolutions, the first of them strided.

    Args:
        in_channels: C of the image; a list makes one first convolution for each number of channels in it, of
            which an image uses the one that fits.
        widths: C of each stage.
        kernels: of each stage, a number or one per axis.
        strides: between stages, one fewer.
        dims: 2 or 3.
        bias: of the convolutions.
        dropout: after each convolution.
    """

    def __init__(
        self,
        in_channels: Size = 1,
        widths: Sequence[int] = FILTERS,
        kernels: Sequence[Size] = (3,) * 6,
        strides: Sequence[Size] = (2,) * 5,
        *,
        dims: int = 3,
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_plan(widths, kernels, strides, dims)
        stages = []
        inputs = [in_channels, *widths]
        for width_in, width, kernel, stride in zip(inputs, widths, kernels, [1, *strides], strict=False):
            options = {"kernel": kernel, "bias": bias, "dropout": dropout}
            first = ConvBlock(dims, width_in, width, stride=stride, **options)
            stages.append(nn.Sequential(first, ConvBlock(dims, width, width, **options)))
        self.stages = nn.ModuleList(stages)
        self.factors = [
            math.prod(axis) for axis in zip(*(_per_axis(one, dims) for one in strides), strict=True)
        ]

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, C, *S), sides multiples of the product of the strides, to the map of each stage, finest first.

        Raises:
            ValueError: a side is not a multiple, or the coarsest map has a single voxel, which an instance
                norm cannot standardise.
        """
        sides = x.shape[2:]
        voxels = 1
        for axis, factor in enumerate(self.factors):
            if sides[axis] % factor != 0:
                voxels = 0
            voxels = voxels * (sides[axis] // factor)
        if voxels < 2:
            raise ValueError(
                f"PlainUNet: input size {list(sides)}; sides must be multiples of {self.factors}, and one of "
                "them twice that or more: pad the image or choose another patch size"
            )
        maps: list[Tensor] = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


class DecoderLevel(nn.Module):
    """Up to the size of the skip, a gate if there is one, concatenation, two convolutions."""

    def __init__(
        self,
        dims: int,
        in_channels: int,
        width: int,
        *,
        kernel: Size,
        stride: Size,
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        side = _per_axis(stride, dims)
        self.up = _TRANSPOSED[dims](in_channels, width, side, stride=side, bias=False)
        options = {"kernel": kernel, "bias": bias, "dropout": dropout}
        first = ConvBlock(dims, 2 * width, width, **options)
        self.blocks = nn.Sequential(first, ConvBlock(dims, width, width, **options))

    def forward(
        self,
        x: Tensor,
        skip: Tensor,
        gate: Optional[Tensor] = None,  # noqa: UP045 (TorchScript reads this)
    ) -> Tensor:
        """(B, C, *S / stride), the skip (B, width, *S) and a factor (B, 1 or width, *S) to (B, width, *S)."""
        x = self.up(x)
        if gate is not None:
            x = x * gate
        return self.blocks(torch.cat([x, skip], dim=1))


class PlainDecoder(nn.Module):
    """A level for each stage but the coarsest, from the coarsest up.

    Args:
        widths: of the encoder's stages, finest first.
        kernels: of the encoder's stages.
        strides: of the encoder.
        in_channels: C of the coarsest map, where something was appended to it.
        dims: 2 or 3.
        bias: of the convolutions.
        dropout: after each convolution.
    """

    def __init__(
        self,
        widths: Sequence[int] = FILTERS,
        kernels: Sequence[Size] = (3,) * 6,
        strides: Sequence[Size] = (2,) * 5,
        *,
        in_channels: int | None = None,
        dims: int = 3,
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_plan(widths, kernels, strides, dims)
        inputs = [*widths[1:-1], widths[-1] if in_channels is None else in_channels]
        levels = [
            DecoderLevel(dims, below, width, kernel=kernel, stride=stride, bias=bias, dropout=dropout)
            for below, width, kernel, stride in zip(inputs, widths, kernels[1:], strides, strict=False)
        ]
        self.levels = nn.ModuleList(reversed(levels))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """The encoder's maps to the features of every level, both finest first."""
        x = maps[-1]
        features: list[Tensor] = []
        for level, module in enumerate(self.levels):
            x = module(x, maps[len(maps) - 2 - level])
            features.append(x)
        features.reverse()
        return features


class PlainUNet(nn.Module):
    """Encoder, decoder, and a head at each supervised level.

    With kernels of 3, six stages, strides of 2 and four outputs it has 31,196,384 parameters.

    Args:
        in_channels: C of the image; see :class:`PlainEncoder`.
        out_channels: K.
        dims: 2 or 3.
        widths: C of each stage.
        kernels: of each stage, a number or one per axis; all 3 by default.
        strides: between stages, a number or one per axis; all 2 by default.
        deep_supervision: levels with a head, from the finest; None for all of them.
        bias: of the convolutions.
        head_bias: of the heads.
        dropout: probability after each convolution; nnU-Net has none.

    Raises:
        ValueError: lists of unlike length, or more heads than levels.
    """

    def __init__(
        self,
        in_channels: Size = 1,
        out_channels: int = 2,
        *,
        dims: int = 3,
        widths: Sequence[int] = FILTERS,
        kernels: Sequence[Size] | None = None,
        strides: Sequence[Size] | None = None,
        deep_supervision: int | None = None,
        bias: bool = True,
        head_bias: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        plan = (
            list(widths),
            [3] * len(widths) if kernels is None else list(kernels),
            [2] * (len(widths) - 1) if strides is None else list(strides),
        )
        options = {"dims": dims, "bias": bias, "dropout": dropout}
        self.encoder = PlainEncoder(in_channels, *plan, **options)
        self.decoder = PlainDecoder(*plan, **options)
        levels = len(widths) - 1
        heads = levels if deep_supervision is None else deep_supervision
        if not 1 <= heads <= levels:
            raise ValueError(f"deep_supervision: {heads}; expected 1 to {levels}, one head for each level")
        self.heads = make_heads(dims, widths[:heads], out_channels, bias=head_bias)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """He normal for the leaky ReLU, zero biases, unit norms."""
        initialise(self)

    def forward(self, x: Tensor) -> Union[Tensor, list[Tensor]]:  # noqa: UP007 (TorchScript reads this)
        """(B, C, *S) to logits (B, K, *S); in training, with several heads, a list of them, finest first."""
        features = self.decoder(self.encoder(x))
        logits: list[Tensor] = []
        for level, head in enumerate(self.heads):
            if level == 0 or self.training:
                logits.append(head(features[level]))
        if len(logits) > 1:
            return logits
        return logits[0]


def make_heads(dims: int, widths: Sequence[int], out_channels: int, *, bias: bool = False) -> nn.ModuleList:
    """A 1 x 1 (x 1) convolution for each width."""
    return nn.ModuleList(_CONVOLUTION[dims](width, out_channels, 1, bias=bias) for width in widths)


def initialise(network: nn.Module) -> None:
    """The start of nnU-Net and PyMIC: He normal for the leaky ReLU of 0.01, zero biases, unit norms."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d):
            nn.init.kaiming_normal_(module.weight, a=0.01)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.InstanceNorm2d | nn.InstanceNorm3d | nn.BatchNorm2d | nn.BatchNorm3d):
            module.reset_parameters()


def check_plan(widths: Sequence[int], kernels: Sequence[Size], strides: Sequence[Size], dims: int) -> None:
    """Raise ``ValueError`` unless the lists have the lengths of one plan and name every axis."""
    if dims not in _CONVOLUTION:
        raise ValueError(f"dims: {dims}; expected 2 or 3")
    if not len(widths) == len(kernels) == len(strides) + 1 >= 2:
        raise ValueError(
            f"{len(widths)} widths, {len(kernels)} kernels and {len(strides)} strides; expected as many "
            "widths as kernels, and one stride fewer"
        )
    for one in [*kernels, *strides]:
        _per_axis(one, dims)


def _per_axis(size: Size, dims: int) -> tuple[int, ...]:
    sides = (size,) * dims if isinstance(size, int) else tuple(size)
    if len(sides) != dims:
        raise ValueError(f"{list(sides)}: expected {dims} numbers, one of each axis")
    return sides
