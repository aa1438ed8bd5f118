"""UNet3D, the organisers' baseline of the PyMIC toolkit.

Their other one, the plain U-Net, is :mod:`common.networks.plain_unet.network` with the plans of nnunet.json.

Source: segrap2023/docs/method.md#network.
"""

from __future__ import annotations

from collections.abc import Sequence

from common.networks.pymic_unet.network import PyMICUNet

__all__ = ["UNet3D"]


class UNet3D(PyMICUNet):
    """Both CTs to 55 classes; 1,328,055 parameters.

    Args:
        in_channels: of the image.
        out_channels: K, with background.
        widths: of each stage, finest first.
        dropout: of each stage; None for the published 0, 0, 0.1, 0.2.
        deep_supervision: heads at all four stages in training, as for the tumours.
    """

    def __init__(
        self,
        in_channels: int = 2,
        out_channels: int = 55,
        *,
        widths: Sequence[int] = (16, 32, 64, 128),
        dropout: float | Sequence[float] | None = None,
        deep_supervision: bool = False,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            dims=3,
            widths=widths,
            dropout=dropout,
            deep_supervision=deep_supervision,
        )
