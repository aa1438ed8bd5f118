"""GraTa's network: the ResNet U-Net with auxiliary branches on the deepest map.

The branches serve the comparison of self-supervised objectives; the published method (entropy and
consistency) runs none of them, and neither does ``forward``.

Axes: B batch, C channels, (H, W) height and width, each a multiple of 32.

Source: Chen et al., Gradient Alignment Improves Test-Time Adaptation for Medical Image Segmentation, AAAI
2025 (grata/docs/method.md#network).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from common.networks.resnet_unet.network import WIDTHS, ResNetUNet

__all__ = ["BRANCHES", "ORIENTATIONS", "GraTaNet"]

#: Classes of the rotation branch, in order; degrees counter-clockwise.
ORIENTATIONS = ("horizontal flip", "vertical flip", "90", "180", "270", "identity")
#: Channels of a branch's maps, after those of the deepest map.
_BRANCH_WIDTHS = (256, 128, 64, 32)


class _Doubled(nn.Module):
    """Double the size, mix channels, ReLU, and only then batch norm."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', 2H, 2W)."""
        return self.norm(functional.relu(self.conv(_double(x))))


def _double(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=True)


class _ImageBranch(nn.Module):
    """From the deepest map (B, C, H/32, W/32) to a picture.

    Args:
        deepest: C, 512 at full width.
        head: from 32 channels at the image's size to the branch's output.
    """

    def __init__(self, deepest: int, head: nn.Module) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(_Doubled(a, b) for a, b in pairwise((deepest, *_BRANCH_WIDTHS))))
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(_double(self.blocks(x)))


def _same_size(channels: int, deepest: int) -> nn.Module:
    return _ImageBranch(deepest, nn.Conv2d(_BRANCH_WIDTHS[-1], channels, 1))


def _twice_the_size(channels: int, deepest: int) -> nn.Module:
    width = _BRANCH_WIDTHS[-1]
    return _ImageBranch(
        deepest,
        nn.Sequential(
            nn.Conv2d(width, width, 5, padding=2),
            nn.Tanh(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.Tanh(),
            nn.Conv2d(width, channels * 4, 3, padding=1),
            nn.PixelShuffle(2),
        ),
    )


def _orientation(channels: int, deepest: int) -> nn.Module:
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(deepest, 256),
        nn.LeakyReLU(0.2),
        nn.Linear(256, 64),
        nn.LeakyReLU(0.2),
        nn.Linear(64, len(ORIENTATIONS)),
    )


#: Name -> builder by the channels of the image and of the deepest map.
BRANCHES = {
    "reconstruction": _same_size,
    "rotation": _orientation,
    "denoising": _same_size,
    "super_resolution": _twice_the_size,
}


class GraTaNet(ResNetUNet):
    """The shared ResNet U-Net plus branches: 23,267,842 - 513,000 parameters with all of them, 22,041,570
    without.

    Args:
        in_channels: image channels.
        out_channels: sigmoid channels: nested classes without the background.
        branches: names from :data:`BRANCHES`; () for the published method.
        widths: as in :class:`common.networks.resnet_unet.network.ResNetUNet`.
        dropout: as in :class:`common.networks.resnet_unet.network.ResNetUNet`.

    Raises:
        ValueError: a branch is unknown.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 2,
        *,
        branches: Sequence[str] = (),
        widths: Sequence[int] = WIDTHS,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(in_channels, out_channels, widths=widths, dropout=dropout)
        unknown = sorted(set(branches) - set(BRANCHES))
        if unknown:
            raise ValueError(
                f"GraTaNet: branches has {unknown[0]!r}; expected words of {', '.join(BRANCHES)}"
            )
        self.branches = nn.ModuleDict({name: BRANCHES[name](in_channels, widths[-1]) for name in branches})

    def auxiliary(self, deepest: Tensor) -> dict[str, Tensor]:
        """Each branch's output for the deepest map, ``encode(image)[-1]``, (B, 512, H/32, W/32).

        Returns:
            "reconstruction", "denoising": logits (B, in_channels, H, W); "super_resolution": logits
            (B, in_channels, 2H, 2W); "rotation": logits (B, 6) of :data:`ORIENTATIONS`.
        """
        x = functional.relu(deepest)
        return {name: branch(x) for name, branch in self.branches.items()}

    def branch(self, name: str, image: Tensor) -> Tensor:
        """The output of one branch for an image (B, in_channels, H, W), as in :meth:`auxiliary`."""
        return self.branches[name](functional.relu(self.encode(image)[-1]))
