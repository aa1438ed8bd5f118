"""BA-Net's network: one encoder, a boundary decoder, and a segmentation decoder that it guides.

    b <- boundary level (b, skip);    z = boundary head (b)
    x <- segmentation level (up(x) * (1 + softmax(z)[boundary]), skip);    y = head (x)

at every level from the coarsest up; both decoders start from the encoder's coarsest map.  The gate multiplies
what is up-sampled before the skip is appended, and gradients pass through it.

Axes: B batch, C image channels, K classes, spatial axes S.  Maps are listed finest first.

Source: Hu et al., Boundary-Aware Network for Kidney Parsing (arXiv 2208.13338) and for Abdominal Multi-Organ
Segmentation (arXiv 2208.13774), MICCAI 2022 challenges, as in their code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Union  # needed by TorchScript

import torch
from torch import Tensor, nn

from common.networks.plain_unet.network import (
    FILTERS,
    DecoderLevel,
    PlainEncoder,
    Size,
    initialise,
    make_heads,
)

__all__ = ["BOUNDARY_CLASSES", "BoundaryLevel", "BoundaryUNet"]

BOUNDARY_CLASSES = 2  # elsewhere, boundary


class BoundaryLevel(nn.Module):
    """One level of both decoders.

    Args:
        dims: 2 or 3.
        in_channels: C of the map below.
        width: C of this level.
        out_channels: K.
        gate: multiply by 1 + the probability of a boundary.
        options: kernel, stride, bias and dropout of a decoder's level.
    """

    def __init__(
        self, dims: int, in_channels: int, width: int, out_channels: int, *, gate: bool, **options: object
    ) -> None:
        super().__init__()
        self.gate = gate
        self.boundary = DecoderLevel(dims, in_channels, width, **options)
        self.segmentation = DecoderLevel(dims, in_channels, width, **options)
        (self.boundary_head,) = make_heads(dims, [width], BOUNDARY_CLASSES)
        (self.head,) = make_heads(dims, [width], out_channels)

    def forward(self, boundary: Tensor, x: Tensor, skip: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features of both decoders and the skip to both features one level finer, and boundary logits."""
        boundary = self.boundary(boundary, skip)
        logits = self.boundary_head(boundary)
        if self.gate:
            # In autocast a half's exponential could overflow where the 1 is added.
            gate = 1.0 + logits.float().softmax(1)[:, 1:2]
            return boundary, self.segmentation(x, skip, gate.to(x.dtype)), logits
        return boundary, self.segmentation(x, skip), logits


class BoundaryUNet(nn.Module):
    """The network: in eval mode class logits, in training the logits of both decoders at every level.

    With kernels of 3, six stages, strides of 2 and five outputs it has 48,366,848 parameters.

    Args:
        in_channels: C of the image.
        out_channels: K, background included.
        dims: 2 or 3.
        widths: C of each stage.
        kernels: of each stage, a number or one per axis; all 3 by default.
        strides: between stages, a number or one per axis; all 2 by default.
        gate: guide the segmentation by the boundaries; without it the decoders share the encoder alone.
        dropout: probability after each convolution; the published network has none.

    Raises:
        ValueError: lists of unlike length.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 2,
        *,
        dims: int = 3,
        widths: Sequence[int] = FILTERS,
        kernels: Sequence[Size] | None = None,
        strides: Sequence[Size] | None = None,
        gate: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        kernels = [3] * len(widths) if kernels is None else list(kernels)
        strides = [2] * (len(widths) - 1) if strides is None else list(strides)
        self.encoder = PlainEncoder(in_channels, widths, kernels, strides, dims=dims, dropout=dropout)
        levels = [
            BoundaryLevel(
                dims, below, width, out_channels, gate=gate, kernel=kernel, stride=stride, dropout=dropout
            )
            for below, width, kernel, stride in zip(widths[1:], widths, kernels[1:], strides, strict=False)
        ]
        self.levels = nn.ModuleList(reversed(levels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """He normal for the leaky ReLU, zero biases, unit norms."""
        initialise(self)

    def forward(self, image: Tensor) -> Union[Tensor, dict[str, list[Tensor]]]:  # noqa: UP007
        """(B, C, *S), sides multiples of the product of the strides, to logits (B, K, *S).

        In training: ``classes`` and ``boundary``, each a list of logits (B, K or 2, *S / stride).

        Raises:
            ValueError: a side does not fit the strides.
        """
        classes, boundary = self.decode(image, self.training)
        if self.training:
            return {"classes": classes, "boundary": boundary}
        return classes[0]

    @torch.jit.export
    def with_boundary(self, image: Tensor) -> Tensor:
        """(B, C, *S) to (B, K + 1, *S): class logits, and the probability of a boundary as last channel."""
        classes, boundary = self.decode(image, False)
        return torch.cat([classes[0], boundary[0].softmax(1)[:, 1:]], dim=1)

    def decode(self, image: Tensor, at_every_level: bool) -> tuple[list[Tensor], list[Tensor]]:
        """Class and boundary logits, finest first; class logits of the finest level alone, or of all."""
        maps = self.encoder(image)
        boundary = x = maps[-1]
        classes: list[Tensor] = []
        boundaries: list[Tensor] = []
        for index, level in enumerate(self.levels):
            boundary, x, logits = level(boundary, x, maps[len(maps) - 2 - index])
            boundaries.append(logits)
            if at_every_level or index == len(maps) - 2:
                classes.append(level.head(x))
        classes.reverse()
        boundaries.reverse()
        return classes, boundaries
