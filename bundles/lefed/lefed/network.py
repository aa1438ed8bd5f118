"""LeFeD: one encoder, two decoders made to differ, and their difference fed back into the encoder.

Decoder A up-samples by transposed convolution and is supervised at every stage; decoder B
interpolates, and its skips are gated by decoder A's features.  Training runs both; at inference decoder A
runs alone, without feedback: a plain V-Net.

Axes: B batch, C channels, (X, Y, Z) the volume, each a multiple of 16.  Features, feedback and side
logits are listed deepest first: strides 16, 8, 4, 2, 1.

Source: Zeng, Xie, Lu, Lu, Xia, Consistency-Guided Differential Decoding for Enhancing Semi-Supervised
Medical Image Segmentation, IEEE TMI 2025 (arXiv 2309.14819); sizes as in the authors' code
(lefed/docs/method.md#network).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional, Union

from torch import Tensor, nn
from torch.nn import functional

from common.networks.vnet.network import WIDTHS, VNetDecoder, VNetEncoder
from lefed.output import LeFeDOutput

__all__ = ["LeFeD", "SideHeads"]


class SideHeads(nn.Module):
    """A 1x1x1 convolution per stage, its result doubled in size up to full resolution.

    Args:
        widths: C of the stages, deepest first.
        out_channels: classes.
    """

    def __init__(self, widths: Sequence[int], out_channels: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(nn.Conv3d(width, out_channels, 1) for width in widths)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Maps at strides 16, 8, 4, 2, 1 to logits at stride 1, each."""
        logits: list[Tensor] = []
        for i, head in enumerate(self.heads):
            x = head(features[i])
            for _ in range(len(self.heads) - 1 - i):
                x = functional.interpolate(x, scale_factor=2.0, mode="trilinear", align_corners=True)
            logits.append(x)
        return logits


class LeFeD(nn.Module):
    """V-Net with two decoders and side heads: 12,348,718 parameters with one input and two classes.

    Args:
        in_channels: image channels.
        out_channels: classes, background included.
        widths: C of the five stages.
        dropout: probability that a channel of the deepest map is dropped in training.
        head_dropout: the same, before each decoder's last convolution.
    """

    #: Input sizes must be multiples of this, (X, Y, Z) in voxels.
    size_multiple = (16, 16, 16)

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 2,
        *,
        widths: Sequence[int] = WIDTHS,
        dropout: float = 0.3,
        head_dropout: float = 0.5,
    ) -> None:
        super().__init__()
        options = {"widths": widths, "dropout": head_dropout}
        self.encoder = VNetEncoder(in_channels, widths=widths, dropout=dropout)
        self.decoder_a = VNetDecoder(out_channels, upsampling="transposed", **options)
        self.decoder_b = VNetDecoder(out_channels, upsampling="trilinear", **options)
        self.side_heads = SideHeads(widths[::-1], out_channels)

    def forward(
        self,
        x: Tensor,
        feedback: Optional[list[Tensor]] = None,  # noqa: UP045 (TorchScript reads this)
    ) -> Union[Tensor, LeFeDOutput]:  # noqa: UP007
        """(B, in_channels, X, Y, Z), sizes multiples of 16, to logits (B, out_channels, X, Y, Z).

        Args:
            x: the image.
            feedback: five maps, added to the encoder's stages; see :mod:`lefed.feedback`.

        Returns:
            In eval mode decoder A's logits; nothing else runs.  In training mode a :class:`LeFeDOutput`.

        Raises:
            ValueError: a size is not a multiple of 16.
        """
        maps = self.encoder(x, feedback)
        if self.training:
            return self.both(maps)
        return self.decoder_a(maps)

    def both(self, maps: list[Tensor]) -> LeFeDOutput:
        """The training output, from the encoder's maps, finest first."""
        logits_a, features_a = self.decoder_a.with_features(maps)
        gates: list[Tensor] = []
        for feature in features_a:
            gates.append(feature.detach().sigmoid())  # A guides B but does not learn from it
        logits_b, features_b = self.decoder_b.with_features(maps, gates)
        return LeFeDOutput(logits_a, logits_b, self.side_heads(features_a), features_a, features_b)
