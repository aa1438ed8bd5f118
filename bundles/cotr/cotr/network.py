"""CoTr: a CNN encoder, a deformable transformer on its two coarsest levels, a convolutional decoder.

Axes: B batch, C channels, (D, H, W) depth, height, width; N tokens of both levels.

Source: Xie et al., CoTr: Efficiently Bridging CNN and Transformer for 3D Medical Image
Segmentation, MICCAI 2021 (arXiv 2103.03024), fig. 1; sizes as in the authors' code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common.blocks.convolution import INSTANCE_NORM, LEAKY_RELU, ConvNormAct, Layer, ResidualBlock
from common.blocks.deformable import (
    DeformableAttention3d,
    DeformableEncoderLayer,
    flatten_maps,
    reference_points,
)
from common.blocks.position import SinePositionCode3d

__all__ = ["CNNEncoder", "CoTr", "DeTrans", "Decoder"]

WIDTHS = (64, 192, 384, 384)  # stem, layer1, layer2, layer3


class CNNEncoder(nn.Module):
    """Feature pyramid: a 7x7x7 stem of stride (1, 2, 2), then three residual layers of stride 2."""

    def __init__(
        self,
        in_channels: int,
        *,
        widths: Sequence[int],
        norm: Layer,
        act: Layer,
        weight_standardization: bool,
    ) -> None:
        super().__init__()
        options = {"norm": norm, "act": act, "weight_standardization": weight_standardization}

        def layer(width_in: int, width: int, blocks: int) -> nn.Sequential:
            first = ResidualBlock(width_in, width, stride=2, **options)
            return nn.Sequential(first, *(ResidualBlock(width, width, **options) for _ in range(blocks - 1)))

        self.stem = ConvNormAct(in_channels, widths[0], 7, stride=(1, 2, 2), **options)
        self.layer1 = layer(widths[0], widths[1], blocks=3)
        self.layer2 = layer(widths[1], widths[2], blocks=3)
        self.layer3 = layer(widths[2], widths[3], blocks=2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(B, C, D, H, W) to maps of strides (1,2,2), (2,4,4), (4,8,8), (8,16,16), finest first."""
        stem = self.stem(x)
        fine = self.layer1(stem)
        middle = self.layer2(fine)
        return stem, fine, middle, self.layer3(middle)


class DeTrans(nn.Module):
    """Transformer encoder: multi-scale deformable attention over several maps at once.

    The position code (sine code plus one learned vector per level) is added to the queries of
    every layer and never to the values.

    Args:
        channels: C of every map, a multiple of ``heads``.
        layers: number of encoder layers.
        heads: attention heads.
        levels: number of maps.
        points: sampling points per head and level.
        feedforward: hidden width of the feed-forward blocks.
        dropout: probability.
        axis_order: "paper" or "published"; see ``common.blocks.deformable.AXIS_ORDERS``.
    """

    def __init__(
        self,
        channels: int = WIDTHS[-1],
        *,
        layers: int = 6,
        heads: int = 6,
        levels: int = 2,
        points: int = 4,
        feedforward: int = 1536,
        dropout: float = 0.1,
        axis_order: str = "paper",
    ) -> None:
        super().__init__()
        self.position = SinePositionCode3d(channels)
        self.level_embedding = nn.Parameter(torch.empty(levels, channels))
        self.layers = nn.ModuleList(
            DeformableEncoderLayer(
                DeformableAttention3d(
                    channels, heads=heads, levels=levels, points=points, axis_order=axis_order
                ),
                channels,
                feedforward=feedforward,
                dropout=dropout,
            )
            for _ in range(layers)
        )
        self.axes = self.layers[0].attention.axes
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier matrices, sampling offsets on their grid, level vectors from N(0, 1)."""
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)
        for layer in self.layers:
            layer.attention.reset_parameters()
        nn.init.normal_(self.level_embedding)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps (B, C, D_l, H_l, W_l) to maps of the same sizes."""
        tokens, shapes = flatten_maps(maps)
        codes = [self.position(m) + self.level_embedding[i][:, None, None, None] for i, m in enumerate(maps)]
        position, _ = flatten_maps(codes)
        reference = reference_points(shapes, self.axes, tokens.device)[None, :, None, :]
        for layer in self.layers:
            tokens = layer(tokens, position, reference, shapes)
        pieces = tokens.transpose(1, 2).split([s[0] * s[1] * s[2] for s in shapes], dim=2)
        return [piece.reshape(m.shape) for piece, m in zip(pieces, maps)]  # noqa: B905 (TorchScript has no strict)


class UpBlock(nn.Module):
    """Double the size by a transposed convolution, add the skip, refine by two convolutions."""

    def __init__(self, in_channels: int, out_channels: int, **options: Layer | bool) -> None:
        super().__init__()
        self.up = nn.ConvTranspose3d(in_channels, out_channels, 2, stride=2, bias=False)
        self.refine = ResidualBlock(out_channels, out_channels, convs=2, activate="branch", **options)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(B, C_in, D, H, W) and skip (B, C_out, 2D, 2H, 2W) to (B, C_out, 2D, 2H, 2W)."""
        return self.refine(self.up(x) + skip)


class Decoder(nn.Module):
    """From the coarsest map back to the stem's size, with a classification head at every scale."""

    def __init__(
        self,
        out_channels: int,
        *,
        widths: Sequence[int],
        norm: Layer,
        act: Layer,
        weight_standardization: bool,
    ) -> None:
        super().__init__()
        options = {"norm": norm, "act": act, "weight_standardization": weight_standardization}
        self.up2 = UpBlock(widths[3], widths[2], **options)
        self.up1 = UpBlock(widths[2], widths[1], **options)
        self.up0 = UpBlock(widths[1], widths[0], **options)
        self.head2 = nn.Conv3d(widths[2], out_channels, 1)
        self.head1 = nn.Conv3d(widths[1], out_channels, 1)
        self.head0 = nn.Conv3d(widths[0], out_channels, 1)
        self.head = nn.Conv3d(widths[0], out_channels, 1)

    def forward(self, stem: Tensor, fine: Tensor, middle: Tensor, coarse: Tensor) -> list[Tensor]:
        """The four maps to logits at strides 1, (1,2,2), (2,4,4), (4,8,8); the first alone in eval mode."""
        x2 = self.up2(coarse, middle)
        x1 = self.up1(x2, fine)
        x0 = self.up0(x1, stem)
        # The paper's order is up-sampling, then the 1x1x1 convolution.  Both are linear and the
        # interpolation weights sum to one, so they commute; this order moves 5 times fewer bytes.
        final = F.interpolate(self.head(x0), scale_factor=[1.0, 2.0, 2.0], mode="trilinear")
        if not self.training:
            return [final]
        return [final, self.head0(x0), self.head1(x1), self.head2(x2)]


class CoTr(nn.Module):
    """CoTr (paper, fig. 1), 41,872,504 parameters with one input and fourteen output channels.

    Args:
        in_channels: image channels.
        out_channels: classes with background; BCV's thirteen labels make fourteen, the paper's eleven organs
            twelve.
        widths: C of the encoder's four maps; the last two are the transformer's, a multiple of 6.
        dropout: probability in the transformer.
        axis_order: "paper": a token samples around its own voxel; "published": the coordinate order
            of the authors' code, for their numbers and weights.
        norm: MONAI norm of encoder and decoder; the code also offers batch and group norm (16).
        act: MONAI activation of encoder and decoder.
        weight_standardization: standardise the filters (off in the published run).

    Raises:
        ValueError: ``axis_order`` is neither "paper" nor "published".
    """

    #: Input sizes must be multiples of this, (D, H, W) in voxels.
    size_multiple = (8, 16, 16)

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 14,
        *,
        widths: Sequence[int] = WIDTHS,
        dropout: float = 0.1,
        axis_order: str = "paper",
        norm: Layer = INSTANCE_NORM,
        act: Layer = LEAKY_RELU,
        weight_standardization: bool = False,
    ) -> None:
        super().__init__()
        options = {
            "widths": widths,
            "norm": norm,
            "act": act,
            "weight_standardization": weight_standardization,
        }
        self.encoder = CNNEncoder(in_channels, **options)
        self.transformer = DeTrans(
            widths[-1], feedforward=4 * widths[-1], dropout=dropout, axis_order=axis_order
        )
        self.decoder = Decoder(out_channels, **options)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Kaiming normal (fan-out) convolutions, unit norms, and the transformer's own rule."""
        for module in self.modules():
            if isinstance(module, (nn.Conv3d, nn.ConvTranspose3d)):
                module.reset_parameters()  # the heads' biases keep the framework's default
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
            elif hasattr(module, "affine") and module.affine:
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)
        self.transformer.reset_parameters()

    def forward(self, x: Tensor) -> Union[Tensor, list[Tensor]]:  # noqa: UP007 (TorchScript reads this)
        """(B, in_channels, D, H, W), sizes multiples of (8, 16, 16), to logits.

        Returns:
            In eval mode (B, out_channels, D, H, W).  In training mode a list: that, then the deep
            supervision maps at strides (1, 2, 2), (2, 4, 4), (4, 8, 8).

        Raises:
            ValueError: a size is not a multiple of (8, 16, 16).
        """
        if x.shape[2] % 8 or x.shape[3] % 16 or x.shape[4] % 16:
            raise ValueError(
                f"CoTr: input size {list(x.shape[2:])} must be multiples of [8, 16, 16]; pad the image "
                "or choose another patch_size"
            )
        stem, fine, middle, coarse = self.encoder(x)
        middle, coarse = self.transformer([middle, coarse])
        logits = self.decoder(stem, fine, middle, coarse)
        if self.training:
            return logits
        return logits[0]
