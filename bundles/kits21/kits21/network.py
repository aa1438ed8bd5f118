"""The baseline's networks: nnU-Net's plain 3D U-Net, once per stage, with one output for each nested region.

Axes: B batch, C input channels, R regions (kidney and mass, mass, tumor), (D, H, W).
Source: methods card kits21, 'Network'; Isensee et al., Nature Methods 2021.
"""

from __future__ import annotations

import torch
from monai.networks.nets import DynUNet
from torch import Tensor, nn
from torch.nn import functional

from kits21.regions import REGIONS

__all__ = ["CoarseToFine", "RegionUNet"]

FILTERS = (32, 64, 128, 256, 320, 320)
_STAGES = len(FILTERS)
_SUPERVISED = 2  # scales below the full one; the two coarsest of the decoder's five have no head


class RegionUNet(nn.Module):
    """U-Net of six stages: two convolutions each, strided first, instance norm, leaky ReLU, concatenation.

    MONAI's ``DynUNet`` with the settings that the card fixes; with four outputs and without heads of deep
    supervision it has 31,189,476 parameters.

    Args:
        in_channels: C.
        out_channels: R.
        deep_supervision: heads at a half and a quarter of the resolution, which only training uses.
        dropout: probability after each convolution; the published network has none.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = len(REGIONS),
        *,
        deep_supervision: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.deep_supervision = deep_supervision
        self.unet = DynUNet(
            spatial_dims=3,
            in_channels=in_channels,
            out_channels=out_channels,
            kernel_size=[3] * _STAGES,
            strides=[1] + [2] * (_STAGES - 1),
            upsample_kernel_size=[2] * (_STAGES - 1),
            filters=list(FILTERS),
            dropout=dropout or None,
            norm_name=("instance", {"affine": True, "eps": 1e-5}),
            act_name=("leakyrelu", {"negative_slope": 0.01, "inplace": True}),
            deep_supervision=deep_supervision,
            deep_supr_num=_SUPERVISED,
        )

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        """(B, C, D, H, W), sides multiples of 32 and not all of them 32, to logits (B, R, D, H, W).

        In training, with deep supervision: a list with the logits at the whole, a half and a quarter of the
        resolution, each at its own size.
        """
        whole = self.unet.output_block(self.unet.skip_layers(x))
        if not (self.training and self.deep_supervision):
            return whole
        return [whole, *self.unet.heads]  # DynUNet itself would interpolate and stack them


class CoarseToFine(nn.Module):
    """The networks of both stages, in one module so that one file of weights holds them.

    ``coarse`` finds kidney and mass in a scan of low resolution; ``fine`` sees a crop of full resolution
    and the coarse mask as one more channel.  :class:`kits21.inferer.CoarseToFineInferer` runs them.

    Args:
        in_channels: C.
        out_channels: R of the fine stage.
        dropout: see :class:`RegionUNet`.
    """

    def __init__(
        self, in_channels: int = 1, out_channels: int = len(REGIONS), *, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.coarse = RegionUNet(in_channels, 1, dropout=dropout)
        self.fine = RegionUNet(in_channels + 1, out_channels, dropout=dropout)

    def forward(
        self, image: Tensor, coarse_mask: Tensor | None = None, coarse_image: Tensor | None = None
    ) -> Tensor | list[Tensor] | dict[str, Tensor | list[Tensor]]:
        """The fine stage's logits, and with an image for the coarse stage both stages' as a dict.

        Args:
            image: (B, C, D, H, W), a crop of full resolution.
            coarse_mask: (B, 1, D, H, W) of 0 and 1, the coarse stage's on the same crop; without it the
                coarse stage looks at this crop alone, at half its resolution, and sides must be multiples
                of 64 and not all of them 64.
            coarse_image: (B, C, d, h, w), of low resolution; training passes it, so that one call reaches
                all weights, as several processes need it.

        Returns:
            what :class:`RegionUNet` returns, or {"fine": ..., "coarse": ...} of it.
        """
        if coarse_mask is None:
            coarse_mask = self._mask_of_crop(image)
        fine = self.fine(torch.cat([image, coarse_mask.to(image)], dim=1))
        return fine if coarse_image is None else {"fine": fine, "coarse": self.coarse(coarse_image)}

    def _mask_of_crop(self, image: Tensor) -> Tensor:
        """The coarse stage's mask (B, 1, D, H, W) of 0 and 1, from this image alone."""
        logits = self.coarse(functional.avg_pool3d(image, 2))
        whole = logits if isinstance(logits, Tensor) else logits[0]  # in training the heads come along
        return functional.interpolate((whole > 0).to(image.dtype), scale_factor=2.0, mode="nearest")
