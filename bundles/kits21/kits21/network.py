"""The baseline's networks: nnU-Net's plain 3D U-Net, one per stage, with one output per nested region.

Axes: B batch, C input channels, R regions (kidney and mass, mass, tumor), (D, H, W).
Source: kits21/docs/method.md#network; Isensee et al., Nature Methods 2021.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional, Union  # needed by TorchScript

import torch
from torch import Tensor, nn
from torch.nn import functional

from common.networks.plain_unet.network import FILTERS, PlainUNet
from kits21.regions import REGIONS

__all__ = ["FILTERS", "CoarseToFine", "RegionUNet"]

_SUPERVISED = 2  # scales below the full one; the two coarsest of the decoder's five have no head


class RegionUNet(PlainUNet):
    """The plain U-Net in six stages, with the parameters of MONAI's ``DynUNet``.

    Its convolutions have no bias, which the instance norm behind them would remove, and its heads have one
    (kits21/docs/method.md#plain-u-net).  With four outputs and one head it has 31,189,476 parameters.

    Args:
        in_channels: C.
        out_channels: R.
        deep_supervision: add heads at half and quarter resolution, used only in training.
        dropout: probability after each convolution; the published network has none.
        filters: channels of the six stages, from full resolution down.

    Raises:
        ValueError: ``filters`` does not have six entries.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = len(REGIONS),
        *,
        deep_supervision: bool = True,
        dropout: float = 0.0,
        filters: Sequence[int] = FILTERS,
    ) -> None:
        if len(filters) != len(FILTERS):
            raise ValueError(f"filters: {list(filters)}; expected {len(FILTERS)} numbers, one of each stage")
        super().__init__(
            in_channels,
            out_channels,
            widths=filters,
            deep_supervision=1 + (_SUPERVISED if deep_supervision else 0),
            bias=False,
            head_bias=True,
            dropout=dropout,
        )


class CoarseToFine(nn.Module):
    """The networks of both stages, in one module so that one weights file holds both.

    ``coarse`` finds kidney and mass in a low-resolution scan; ``fine`` sees a full-resolution crop, with the
    coarse mask as an extra channel.  :class:`kits21.inferer.CoarseToFineInferer` runs them.

    Args:
        in_channels: C.
        out_channels: R of the fine stage.
        dropout: see :class:`RegionUNet`.
        filters: see :class:`RegionUNet`; for both stages.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = len(REGIONS),
        *,
        dropout: float = 0.0,
        filters: Sequence[int] = FILTERS,
    ) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.coarse = RegionUNet(in_channels, 1, dropout=dropout, filters=filters)
        self.fine = RegionUNet(in_channels + 1, out_channels, dropout=dropout, filters=filters)

    def reset_parameters(self) -> None:
        """Initialise both stages."""
        self.coarse.reset_parameters()
        self.fine.reset_parameters()

    def forward(
        self,
        image: Tensor,
        coarse_mask: Optional[Tensor] = None,  # noqa: UP045 (TorchScript reads these)
        coarse_image: Optional[Tensor] = None,  # noqa: UP045
    ) -> Union[Tensor, list[Tensor], dict[str, Union[Tensor, list[Tensor]]]]:  # noqa: UP007
        """The fine stage's logits; given an image for the coarse stage, both stages' logits as a dict.

        Args:
            image: (B, C, D, H, W), a full-resolution crop.
            coarse_mask: (B, 1, D, H, W) of 0 and 1, the coarse stage's result for the same crop; without it
                the coarse stage runs on this crop alone, at half its resolution, and sides must be multiples
                of 64 and not all of them 64.
            coarse_image: (B, C, d, h, w), low resolution; training passes it so that one call uses all
                weights, as distributed training requires.

        Returns:
            what :class:`RegionUNet` returns, or {"fine": ..., "coarse": ...} with that for each stage.
        """
        mask = self._mask_of_crop(image) if coarse_mask is None else coarse_mask.to(image)
        fine = self.fine(torch.cat([image, mask], dim=1))
        if coarse_image is None:
            return fine
        return {"fine": fine, "coarse": self.coarse(coarse_image)}

    def _mask_of_crop(self, image: Tensor) -> Tensor:
        """The coarse stage's mask (B, 1, D, H, W) of 0 and 1, from this image alone."""
        logits = self.coarse(functional.avg_pool3d(image, 2))
        whole = (
            logits if isinstance(logits, Tensor) else logits[0]
        )  # in training, a list with the heads' maps
        return functional.interpolate((whole > 0).to(image.dtype), scale_factor=2.0, mode="nearest")
