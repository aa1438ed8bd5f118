"""The baseline's networks: nnU-Net's plain 3D U-Net, one per stage, with one output per nested region.

Axes: B batch, C input channels, R regions (kidney and mass, mass, tumor), (D, H, W).
Source: kits21/docs/method.md#network; Isensee et al., Nature Methods 2021.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional, Union  # needed by TorchScript

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
    """U-Net of six stages: two convolutions each (the first strided), instance norm, leaky ReLU,
    concatenation.

    Made of the blocks of MONAI's ``DynUNet`` (kits21/docs/method.md#plain-u-net); with four outputs and no
    deep supervision heads it has 31,189,476 parameters.  (``DynUNet`` stores its heads' maps on itself and
    interpolates them; TorchScript allows the one as little as the published loss the other.)

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
        """He normal for the leaky ReLU, zero biases, unit norms."""
        for module in self.modules():
            if isinstance(module, nn.InstanceNorm3d):
                module.reset_parameters()
        self.apply(DynUNet.initialize_weights)

    def forward(self, x: Tensor) -> Union[Tensor, list[Tensor]]:  # noqa: UP007 (TorchScript reads this)
        """(B, C, D, H, W), sides multiples of 32 and not all of them 32, to logits (B, R, D, H, W).

        In training with deep supervision: a list of the logits at full, half and quarter resolution, each at
        its own size.

        Raises:
            ValueError: a side is not a multiple of 32, or all are 32.
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
