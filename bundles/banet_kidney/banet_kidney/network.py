"""BA-Net with KiPA22's plan: banet_kidney/docs/method.md#network."""

from __future__ import annotations

from collections.abc import Sequence

from common.networks.boundary_unet.network import BoundaryUNet
from common.networks.plain_unet.network import FILTERS, Size

__all__ = ["STRIDES", "BANet"]

#: Between the stages, finest first, for the patch of 160 x 128 x 112 voxels.
STRIDES = ((2, 2, 2), (2, 2, 2), (2, 2, 2), (2, 2, 2), (2, 2, 1))


class BANet(BoundaryUNet):
    """BA-Net in 3D, all kernels 3 x 3 x 3.

    With one channel, five classes and KiPA22's strides it has 47,547,648 parameters, 48,366,848 with five
    strides of 2.

    Args:
        in_channels: C of the image.
        out_channels: K, background included.
        widths: C of each stage, finest first.
        strides: between stages, one fewer; a number, or one per axis.
        gate: multiply what the segmentation decoder up-samples by 1 + the probability of a boundary.
        dropout: probability after each convolution; the published network has none.

    Raises:
        ValueError: ``widths`` and ``strides`` do not fit.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 5,
        *,
        widths: Sequence[int] = FILTERS,
        strides: Sequence[Size] = STRIDES,
        gate: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(
            in_channels, out_channels, dims=3, widths=widths, strides=strides, gate=gate, dropout=dropout
        )
