"""PyMIC's U-Net in 2D and 3D.

Each block has two convolutions with batch norm and leaky ReLU, and dropout between them.  Max-pooling halves
the size.  Going up, a 1 x 1 (x 1) convolution to the skip's width comes before linear up-sampling with
aligned corners, and the skip comes first in the concatenation.

Axes: B batch, C channels, K classes, *S two or three spatial ones.  Maps are listed finest first.

Source: Wang et al., PyMIC, Computer Methods and Programs in Biomedicine 2023; the baseline of SegRap2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Union  # needed by TorchScript

import torch
from torch import Tensor, nn
from torch.nn import functional

from common.networks.plain_unet.network import initialise

__all__ = ["PyMICUNet"]

WIDTHS, DROPOUT = (16, 32, 64, 128), (0.0, 0.0, 0.1, 0.2)
_CONVOLUTION = {2: nn.Conv2d, 3: nn.Conv3d}
_NORM = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


def _block(dims: int, in_channels: int, width: int, dropout: float) -> nn.Sequential:
    """Two convolutions; dropout is of single values, as in PyMIC, not of channels."""
    return nn.Sequential(
        _CONVOLUTION[dims](in_channels, width, 3, padding=1),
        _NORM[dims](width),
        nn.LeakyReLU(0.01),
        nn.Dropout(dropout),
        _CONVOLUTION[dims](width, width, 3, padding=1),
        _NORM[dims](width),
        nn.LeakyReLU(0.01),
    )


class PyMICUNet(nn.Module):
    """The network; with 2 image channels and 55 classes it has 1,328,055 parameters.

    Args:
        in_channels: C of the image.
        out_channels: K.
        dims: 2 or 3.
        widths: C of each stage, finest first.
        dropout: in the block of each stage, on both ways; one number for all, None for PyMIC's.
        deep_supervision: heads at every stage in training, the coarsest one on the encoder's map.

    Raises:
        ValueError: as many dropouts as widths are expected.
    """

    def __init__(
        self,
        in_channels: int = 2,
        out_channels: int = 55,
        *,
        dims: int = 3,
        widths: Sequence[int] = WIDTHS,
        dropout: float | Sequence[float] | None = None,
        deep_supervision: bool = False,
    ) -> None:
        super().__init__()
        if dropout is None:
            dropout = DROPOUT
        rates = [dropout] * len(widths) if isinstance(dropout, int | float) else list(dropout)
        if len(rates) != len(widths):
            raise ValueError(f"dropout: {rates}; expected one number, or {len(widths)}, one of each stage")
        self.mode = "trilinear" if dims == 3 else "bilinear"
        self.dims = dims
        inputs = [in_channels, *widths]
        self.encoder = nn.ModuleList(_block(dims, *one) for one in zip(inputs, widths, rates, strict=False))
        upward = list(zip(widths[1:], widths, rates, strict=False))[::-1]
        self.narrowing = nn.ModuleList(_CONVOLUTION[dims](below, width, 1) for below, width, _ in upward)
        self.decoder = nn.ModuleList(_block(dims, 2 * width, width, rate) for _, width, rate in upward)
        heads = widths if deep_supervision else widths[:1]
        self.heads = nn.ModuleList(_CONVOLUTION[dims](width, out_channels, 1) for width in heads)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """He normal for the leaky ReLU, zero biases, unit norms."""
        initialise(self)

    def forward(self, x: Tensor) -> Union[Tensor, list[Tensor]]:  # noqa: UP007 (TorchScript reads this)
        """(B, C, *S) to logits (B, K, *S); in training with deep supervision a list of them, finest first.

        Raises:
            ValueError: a side is not a multiple of the whole down-sampling.
        """
        factor = 2 ** (len(self.encoder) - 1)
        if any([side % factor != 0 for side in x.shape[2:]]):
            raise ValueError(
                f"PyMICUNet: input size {list(x.shape[2:])}; sides must be multiples of {factor}: pad the "
                "image or choose another patch size"
            )
        maps: list[Tensor] = []
        for stage, block in enumerate(self.encoder):
            if stage > 0:
                x = functional.max_pool3d(x, 2) if self.dims == 3 else functional.max_pool2d(x, 2)
            x = block(x)
            maps.append(x)
        features: list[Tensor] = [x]
        for level, (narrow, block) in enumerate(zip(self.narrowing, self.decoder)):  # noqa: B905 (TorchScript)
            skip = maps[len(maps) - 2 - level]
            x = functional.interpolate(narrow(x), skip.shape[2:], mode=self.mode, align_corners=True)
            x = block(torch.cat([skip, x], dim=1))
            features.append(x)
        features.reverse()
        logits: list[Tensor] = []
        for level, head in enumerate(self.heads):
            if level == 0 or self.training:
                logits.append(head(features[level]))
        if len(logits) > 1:
            return logits
        return logits[0]
