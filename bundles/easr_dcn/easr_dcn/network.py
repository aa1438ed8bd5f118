"""The divide-and-conquer network: one encoder per region, one decoder for all.

Axes: B pairs, 2 images (moving, fixed), D, H, W voxels, K regions.  Displacements are in voxels, channel 0
along D.

Source: easr_dcn/docs/method.md#dcn; figure of the authors' repository.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common.registration.integration import integrate
from easr_dcn.regions import label_maps, random_label_maps, region_pairs

__all__ = ["DivideAndConquerNet"]

_FIRST, _WIDE = 16, 32  # channels of an encoder, from full size down
_SLOPE = 0.2  # LeakyReLU's negative slope


class ConvolutionUnit(nn.Sequential):
    """3 x 3 x 3 convolution, optional group norm, LeakyReLU(0.2).

    Args:
        in_channels: total over all groups.
        out_channels: total over all groups.
        stride: 1, or 2 to halve each side.
        groups: number of independent encoders side by side.
        normalized: with group norm, four channels a group.
        transposed: double each side instead.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        groups: int = 1,
        normalized: bool = False,
        transposed: bool = False,
    ) -> None:
        if transposed:
            layers: list[nn.Module] = [
                nn.ConvTranspose3d(in_channels, out_channels, 3, stride=2, padding=1, output_padding=1)
            ]
        else:
            layers = [nn.Conv3d(in_channels, out_channels, 3, stride=stride, padding=1, groups=groups)]
        if normalized:
            layers.append(nn.GroupNorm(out_channels // 4, out_channels))
        super().__init__(*layers, nn.LeakyReLU(_SLOPE))


class RegionEncoders(nn.Module):
    """K encoders of five stages as one stack of grouped convolutions.

    Args:
        regions: K.
        normalized: with group norm.
        shared: one encoder, which sees the regions one after another.
    """

    def __init__(self, regions: int, *, normalized: bool, shared: bool = False) -> None:
        super().__init__()
        self.passes, regions = (regions, 1) if shared else (1, regions)
        widths = [2, _FIRST, *[_WIDE] * 4]
        self.stages = nn.ModuleList(
            ConvolutionUnit(
                regions * widths[i],
                regions * widths[i + 1],
                stride=1 if i == 0 else 2,
                groups=regions,
                normalized=normalized,
            )
            for i in range(5)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 2 K, D, H, W) to five maps (B, K C, ...), full size first, each half the size of the one
        before.
        """
        x = x.unflatten(1, [self.passes, x.shape[1] // self.passes]).flatten(0, 1)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x.unflatten(0, [x.shape[0] // self.passes, self.passes]).flatten(1, 2))
        return maps


class SharedDecoder(nn.Module):
    """From the maps of all encoders, deepest first, to one field.

    Args:
        regions: K.
        normalized: with group norm.
    """

    def __init__(self, regions: int, *, normalized: bool) -> None:
        super().__init__()
        skips = [regions * _WIDE, *[regions * _WIDE + _WIDE] * 3]
        self.stages = nn.ModuleList(
            nn.Sequential(
                ConvolutionUnit(width, 64, normalized=normalized),
                ConvolutionUnit(64, _WIDE, normalized=normalized),
                ConvolutionUnit(_WIDE, _WIDE, normalized=normalized, transposed=True),
            )
            for width in skips
        )
        full = [regions * _FIRST + _WIDE, 64, 32, 16, 16]
        self.full_size = nn.Sequential(
            *(ConvolutionUnit(full[i], full[i + 1], normalized=normalized) for i in range(4))
        )
        self.flow = nn.Conv3d(16, 3, 3, padding=1)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Five maps, full size first, to the field (B, 3, D, H, W)."""
        x = maps[4]
        for i, stage in enumerate(self.stages):
            x = stage(torch.cat([maps[4 - i], x], 1) if i > 0 else x)
        return self.flow(self.full_size(torch.cat([maps[0], x], 1)))


class DivideAndConquerNet(nn.Module):
    """From moving and fixed image to the displacement that warps the first onto the second.

    The images are split into regions here, without gradient and at their own size; then the sides are padded
    to multiples of 16, and the field is cropped back.  At the start the field is near 0 (last convolution
    drawn with standard deviation 1e-5).  1,670,755 parameters with three regions.

    Args:
        regions: K; with 1 the region is the whole image and the network a plain U-Net.
        integration_steps: 0 takes the network's field as the displacement (as in the paper); otherwise it is
            a velocity, integrated in this many steps of scaling and squaring, so that it folds less.
        normalized: group norm, four channels a group, after every convolution but the last.
        iterations: upper limit for the Gaussian mixture.
        tolerance: on its mean log-likelihood.
        shared_encoder: one encoder for all regions; 1,475,203 parameters with three.
        split: "mixture", or "random": masks of equal size, for comparison.

    Raises:
        ValueError: fewer than one region, or another ``split``.
    """

    __constants__ = ["integrates", "random"]  # TorchScript drops unused branches

    def __init__(
        self,
        regions: int = 3,
        *,
        integration_steps: int = 0,
        normalized: bool = False,
        iterations: int = 100,
        tolerance: float = 1e-3,
        shared_encoder: bool = False,
        split: str = "mixture",
    ) -> None:
        super().__init__()
        if regions < 1:
            raise ValueError(f"DivideAndConquerNet: regions={regions}; expected a whole number from 1")
        if split not in ("mixture", "random"):
            raise ValueError(f'DivideAndConquerNet: split={split!r}; expected "mixture" or "random"')
        self.random = split == "random"
        self.regions, self.integration_steps = int(regions), int(integration_steps)
        self.integrates = self.integration_steps > 0
        self.iterations, self.tolerance = int(iterations), float(tolerance)
        self.encoders = RegionEncoders(self.regions, normalized=normalized, shared=shared_encoder)
        self.decoder = SharedDecoder(self.regions, normalized=normalized)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Normal weights that keep the signal's scale through LeakyReLU, and almost no displacement.

        With PyTorch's default weights the signal shrinks from layer to layer, and the features hardly depend
        on the images.  Both choices follow VoxelMorph.
        """
        for module in self.modules():
            if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
                nn.init.kaiming_normal_(module.weight, a=_SLOPE)
                nn.init.zeros_(module.bias)
            if isinstance(module, nn.ConvTranspose3d):  # an eighth of its 27 weights reaches each voxel
                with torch.no_grad():
                    module.weight.mul_(8**0.5)
        nn.init.normal_(self.decoder.flow.weight, std=1e-5)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 2, D, H, W), moving and fixed, to displacements (B, 3, D, H, W) in voxels.

        The warped image is moving(x + displacement(x)).
        """
        if self.random:
            labels = random_label_maps(image, self.regions)
        else:
            labels = label_maps(image, self.regions, self.iterations, self.tolerance)
        return self.field(region_pairs(image, labels, self.regions))

    def field(self, regions: Tensor) -> Tensor:
        """(B, 2 K, D, H, W) regions, see :func:`easr_dcn.regions.region_pairs`, to displacements."""
        depth, height, width = regions.shape[2], regions.shape[3], regions.shape[4]
        # The encoders halve each side four times.
        padded = F.pad(regions, [0, -width % 16, 0, -height % 16, 0, -depth % 16])
        field = self.decoder(self.encoders(padded))[:, :, :depth, :height, :width]
        if self.integrates:
            field = integrate(field, self.integration_steps)
        return field
