"""The ResNet-34 U-Net whose early maps get random styles in training (Chen et al., MICCAI 2023).

Axes: B batch, C channels, (H, W), each a multiple of 32.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from common.blocks.feature_statistics import EFDMix, MixStyle, TriD
from common.networks.resnet_unet.network import WIDTHS, ResNetUNet

__all__ = ["TriDUNet"]

_STYLES: dict[str, type[nn.Module]] = {"trid": TriD, "mixstyle": MixStyle, "efdmix": EFDMix}


class TriDUNet(ResNetUNet):
    """The U-Net with TriD after the encoder's first two layers; in eval mode a plain network.

    The style layers have no parameters: weights fit whatever ``style`` is, and the exported network does not
    contain these layers.

    Args:
        in_channels: image channels.
        out_channels: sigmoid channels: nested classes without the background.
        style: "trid"; "mixstyle" or "efdmix", the paper's baselines; "none" for plain training.
        style_prob: probability that a call changes styles, for the whole batch at once.
        style_after: "layer0" (the stem) to "layer4"; the paper's choice is layers 1 and 2.
        depth: of the ResNet, 34 or 50.
        widths: as in :class:`common.networks.resnet_unet.network.ResNetUNet`.
        dropout: probability of dropping a channel of the deepest map in training; the paper has none.

    Raises:
        ValueError: an unknown style, position or depth, or a probability out of range.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 2,
        *,
        style: str = "trid",
        style_prob: float = 0.5,
        style_after: Sequence[str] = ("layer1", "layer2"),
        depth: int = 34,
        widths: Sequence[int] = WIDTHS,
        dropout: float = 0.0,
    ) -> None:
        if style != "none" and style not in _STYLES:
            raise ValueError(f"TriDUNet: style={style!r}; expected one of {', '.join(_STYLES)}, none")
        super().__init__(
            in_channels,
            out_channels,
            depth=depth,
            widths=widths,
            style=None if style == "none" else _STYLES[style](style_prob),
            style_after=style_after,
            dropout=dropout,
        )
