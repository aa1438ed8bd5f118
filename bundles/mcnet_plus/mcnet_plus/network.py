"""MC-Net+: one encoder and K decoders that differ only in their up-sampling.

Where the decoders disagree, the network is unsure.  Training runs all of them, inference only the first.

Source: Wu et al., Mutual Consistency Learning for Semi-supervised Medical Image Segmentation,
Medical Image Analysis 81 (2022) 102530, fig. 2; sizes as in the authors' code
(mcnet_plus/docs/method.md#network).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Union

import torch
from torch import Tensor, nn

from common.networks.vnet.network import WIDTHS, VNetDecoder, VNetEncoder
from mcnet_plus.unet import UNetDecoder, UNetEncoder

__all__ = ["MCNetPlus2d", "MCNetPlus3d"]


class _MutualDecoders(nn.Module):
    """One encoder, K decoders.

    Args:
        encoder: image to a list of maps.
        decoders: each maps that list to logits.
        average: in eval mode, the logarithm of the decoders' mean probabilities instead of the first
            decoder's logits, at K times the decoder's cost.
    """

    def __init__(self, encoder: nn.Module, decoders: Sequence[nn.Module], *, average: bool) -> None:
        super().__init__()
        if not decoders:
            raise ValueError("MC-Net+: upsamplings is empty; expected a word for each decoder")
        self.encoder, self.decoders = encoder, nn.ModuleList(decoders)
        self.average = average

    def forward(self, x: Tensor) -> Union[Tensor, list[Tensor]]:  # noqa: UP007 (TorchScript reads this)
        """(B, in_channels, *S), sizes multiples of 16, to logits (B, out_channels, *S).

        Returns:
            In eval mode the first decoder's logits; the others do not run.  In training mode a list of all K.

        Raises:
            ValueError: a size is not a multiple of 16.
        """
        maps = self.encoder(x)
        logits: list[Tensor] = []
        for i, decoder in enumerate(self.decoders):
            if i == 0 or self.training or self.average:
                logits.append(decoder(maps))
        if self.training:
            return logits
        if not self.average:
            return logits[0]
        return torch.stack(logits).log_softmax(2).logsumexp(0)


class MCNetPlus3d(_MutualDecoders):
    """V-Net with K decoders: 15,246,566 parameters with one input, two output channels and K = 3.

    Args:
        in_channels: image channels.
        out_channels: classes, background included.
        upsamplings: for each of the K decoders, "transposed", "trilinear" or "nearest".  The first decoder is
            the one that predicts.  Two make MC-Net, one a plain V-Net.
        widths: C of the five stages.
        dropout: probability that a channel of the deepest map, and of each decoder's last, is dropped.
        average: predict the decoders' mean.

    Raises:
        ValueError: ``upsamplings`` is empty or has another word.
    """

    #: Input sizes must be multiples of this, (X, Y, Z) in voxels.
    size_multiple = (16, 16, 16)

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 2,
        *,
        upsamplings: Sequence[str] = ("transposed", "trilinear", "nearest"),
        widths: Sequence[int] = WIDTHS,
        dropout: float = 0.5,
        average: bool = False,
    ) -> None:
        super().__init__(
            VNetEncoder(in_channels, widths=widths, dropout=dropout),
            [
                VNetDecoder(out_channels, upsampling=word, widths=widths, dropout=dropout)
                for word in upsamplings
            ],
            average=average,
        )


class MCNetPlus2d(_MutualDecoders):
    """U-Net with K decoders: 3,210,924 parameters with one input, four output channels and K = 3.

    Args:
        in_channels: image channels.
        out_channels: classes, background included.
        upsamplings: for each decoder, "bilinear", "transposed", "nearest" or "bicubic"; the first decoder is
            the one that predicts.
        widths: C of the five levels.
        dropout: elementwise, at the deepest level; less above it.
        average: predict the decoders' mean.

    Raises:
        ValueError: ``upsamplings`` is empty or has another word.
    """

    #: Input sizes must be multiples of this, (H, W) in pixels.
    size_multiple = (16, 16)

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 4,
        *,
        upsamplings: Sequence[str] = ("bilinear", "transposed", "nearest"),
        widths: Sequence[int] = WIDTHS,
        dropout: float = 0.5,
        average: bool = False,
    ) -> None:
        super().__init__(
            UNetEncoder(in_channels, widths=widths, dropout=dropout),
            [UNetDecoder(out_channels, upsampling=word, widths=widths) for word in upsamplings],
            average=average,
        )
