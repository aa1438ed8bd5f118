"""VPTTA's source networks: a ResNet-34 U-Net for the fundus benchmark, PraNet for the polyps.

At test time they are frozen; a copy of them gets adaptive norms (:mod:`vptta.inferer`), with the same keys.

Source: Chen et al., Each Test Image Deserves A Specific Prompt, CVPR 2024 (vptta/docs/method.md#network).
"""

from __future__ import annotations

from collections.abc import Sequence

from common.networks.pranet.network import PraNet
from common.networks.resnet_unet.network import WIDTHS, ResNetUNet

__all__ = ["FundusNet", "PolypNet"]


class FundusNet(ResNetUNet):
    """The ResNet U-Net of ``common`` at depth 34, with its tail: 22,041,570 parameters.

    Its 41 batch norms, 19,136 channel weights and shifts, all adapt.

    Args:
        in_channels: image channels.
        out_channels: sigmoid channels: nested classes without the background.
        widths: as in :class:`common.networks.resnet_unet.network.ResNetUNet`.
        dropout: of the deepest map; the paper has none.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 2,
        *,
        widths: Sequence[int] = WIDTHS,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(
            in_channels, out_channels, depth=34, widths=widths, tail_channels=32, dropout=dropout
        )


class PolypNet(PraNet):
    """:class:`common.networks.pranet.network.PraNet` with 32 channels: 30,498,319 parameters.

    The 87 batch norms of its encoder adapt; the 66 of its decoder stay as they are.

    Args:
        in_channels: image channels.
        out_channels: 1.
        dropout: of the deepest map; the paper has none.
    """

    def __init__(self, in_channels: int = 3, out_channels: int = 1, *, dropout: float = 0.0) -> None:
        super().__init__(in_channels, out_channels, channels=32, dropout=dropout)
