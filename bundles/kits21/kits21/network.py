"""The baseline's networks: nnU-Net's plain 3D U-Net, once per stage, with one output for each nested region.

Axes: B batch, C input channels, R regions (kidney and mass, mass, tumor), (D, H, W).
Source: kits21/docs/method.md#network; Isensee et al., Nature Methods 2021.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional, Union  # TorchScript reads them

import torch
from monai.networks.blocks.dynunet_block import UnetBasicBlock, UnetOutBlock, UnetUpBlock
from monai.networks.nets import DynUNet
from torch import Tensor, nn
from torch.nn import functional

from kits21.regions import REGIONS

__all__ = ["CoarseToFine", "RegionUNet"]

FILTERS = (32, 64, 128, 256, 320, 320)
_SUPERVISED = 2  # scales below the full one; the two coarsest of the decoder's five have no head


class RegionUNet(nn.Module):
    """U-Net of six stages: two convolutions each, strided first, instance norm, leaky ReLU, concatenation.

    Made of the blocks of MONAI's ``DynUNet`` (kits21/docs/method.md#plain-u-net); with four outputs and
    without heads of deep supervision it has 31,189,476 parameters.  (``DynUNet`` keeps its heads' maps in
    itself and interpolates them, which neither TorchScript nor the published loss wants.)

    Args:
        in_channels: C.
        out_channels: R.
        deep_supervision: heads at a half and a quarter of the resolution, which only training uses.
        dropout: probability after each convolution; the published network has none.
        filters: channels of the six stages, from full resolution down.

    Raises:
        ValueError: there are not six.
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
        super().__init__()
        if len(filters) != len(FILTERS):
            raise ValueError(f"filters: {list(filters)}; expected {len(FILTERS)} numbers, one of each stage")
        block = {
            "kernel_size": 3,
            "norm_name": ("instance", {"affine": True, "eps": 1e-5}),
            "act_name": ("leakyrelu", {"negative_slope": 0.01, "inplace": True}),
            "dropout": dropout or None,
        }
        steps = list(zip((in_channels, *filters), filters, strict=False))
        self.encoder = nn.ModuleList(
            UnetBasicBlock(3, *step, stride=1 if stage == 0 else 2, **block)
            for stage, step in enumerate(steps)
        )
        self.decoder = nn.ModuleList(  # from the coarsest stage up
            UnetUpBlock(3, below, own, stride=1, upsample_kernel_size=2, **block)
            for own, below in reversed(steps[1:])
        )
        heads = 1 + (_SUPERVISED if deep_supervision else 0)
        self.heads = nn.ModuleList(UnetOutBlock(3, width, out_channels) for width in filters[:heads])
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """He normal for the leaky ReLU, no bias; unit norms."""
        for module in self.modules():
            if isinstance(module, nn.InstanceNorm3d):
                module.reset_parameters()
        self.apply(DynUNet.initialize_weights)

    def forward(self, x: Tensor) -> Union[Tensor, list[Tensor]]:  # noqa: UP007 (TorchScript reads this)
        """(B, C, D, H, W), sides multiples of 32 and not all of them 32, to logits (B, R, D, H, W).

        In training, with deep supervision: a list with the logits at the whole, a half and a quarter of the
        resolution, each at its own size.

        Raises:
            ValueError: a side is no multiple of 32, or all are 32.
        """
        sides = x.shape[2:]
        if any([n % 32 != 0 for n in sides]) or all([n == 32 for n in sides]):
            raise ValueError(
                f"RegionUNet: input size {list(sides)}; sides must be multiples of 32 and one of them 64 "
                "or more: pad the image or choose another patch_size, coarse_patch_size"
            )
        maps = [x]
        for down in self.encoder:
            maps.append(down(maps[-1]))
        deep = maps.pop()
        scales: list[Tensor] = []
        for up in self.decoder:
            deep = up(deep, maps.pop())
            scales.append(deep)
        logits: list[Tensor] = []
        for level, head in enumerate(self.heads):
            if level == 0 or self.training:
                logits.append(head(scales[-1 - level]))
        if len(logits) > 1:
            return logits
        return logits[0]


class CoarseToFine(nn.Module):
    """The networks of both stages, in one module so that one file of weights holds them.

    ``coarse`` finds kidney and mass in a scan of low resolution; ``fine`` sees a crop of full resolution
    and the coarse mask as one more channel.  :class:`kits21.inferer.CoarseToFineInferer` runs them.

    Args:
        in_channels: C.
        out_channels: R of the fine stage.
        dropout: see :class:`RegionUNet`.
        filters: likewise, of both stages.
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
        """New weights for both stages."""
        self.coarse.reset_parameters()
        self.fine.reset_parameters()

    def forward(
        self,
        image: Tensor,
        coarse_mask: Optional[Tensor] = None,  # noqa: UP045 (TorchScript reads these)
        coarse_image: Optional[Tensor] = None,  # noqa: UP045
    ) -> Union[Tensor, list[Tensor], dict[str, Union[Tensor, list[Tensor]]]]:  # noqa: UP007
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
        mask = self._mask_of_crop(image) if coarse_mask is None else coarse_mask.to(image)
        fine = self.fine(torch.cat([image, mask], dim=1))
        if coarse_image is None:
            return fine
        return {"fine": fine, "coarse": self.coarse(coarse_image)}

    def _mask_of_crop(self, image: Tensor) -> Tensor:
        """The coarse stage's mask (B, 1, D, H, W) of 0 and 1, from this image alone."""
        logits = self.coarse(functional.avg_pool3d(image, 2))
        whole = logits if isinstance(logits, Tensor) else logits[0]  # in training the heads come along
        return functional.interpolate((whole > 0).to(image.dtype), scale_factor=2.0, mode="nearest")
