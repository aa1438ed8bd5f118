"""The networks with AMOS22's plans: banet_abdomen/docs/method.md#network."""

from __future__ import annotations

from collections.abc import Sequence

from common.networks.boundary_unet.network import BoundaryUNet
from common.networks.plain_unet.network import FILTERS, PlainUNet, Size

__all__ = ["BANet", "PlainMR"]

#: CT in full resolution, patch 64 x 160 x 160: the first stage sees no neighbouring slice.
KERNELS = ((1, 3, 3), 3, 3, 3, 3, 3)
STRIDES = ((1, 2, 2), 2, 2, 2, 2)
#: CT in low resolution, patch 80 x 160 x 160, and MR, 64 x 160 x 224.
LAST_IN_PLANE = (2, 2, 2, 2, (1, 2, 2))


class BANet(BoundaryUNet):
    """BA-Net in 3D.

    With one channel and sixteen classes it has 48,340,256 parameters; in low resolution, with kernels of 3
    and strides ``LAST_IN_PLANE``, 47,556,448.

    Args:
        in_channels: C of the image.
        out_channels: K, background included.
        widths: C of each stage, finest first.
        kernels: of each stage, a number or one per axis.
        strides: between stages, one fewer; a number or one per axis.
        gate: multiply what the segmentation decoder up-samples by 1 + the probability of a boundary.
        dropout: probability after each convolution; the published network has none.

    Raises:
        ValueError: ``widths``, ``kernels`` and ``strides`` do not fit.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 16,
        *,
        widths: Sequence[int] = FILTERS,
        kernels: Sequence[Size] = KERNELS,
        strides: Sequence[Size] = STRIDES,
        gate: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            dims=3,
            widths=widths,
            kernels=kernels,
            strides=strides,
            gate=gate,
            dropout=dropout,
        )


class PlainMR(PlainUNet):
    """nnU-Net's plain U-Net in 3D, as the authors train it on MR alone.

    Args:
        in_channels: C of the image.
        out_channels: K, background included.
        widths: C of each stage, finest first.
        strides: between stages, one fewer; a number or one per axis.
        dropout: probability after each convolution; the published network has none.

    Raises:
        ValueError: ``widths`` and ``strides`` do not fit.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 16,
        *,
        widths: Sequence[int] = FILTERS,
        strides: Sequence[Size] = LAST_IN_PLANE,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(in_channels, out_channels, dims=3, widths=widths, strides=strides, dropout=dropout)
