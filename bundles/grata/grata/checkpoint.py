"""The authors' state dict -> ours: the shared ResNet U-Net, and the branches on its deepest map.

Theirs: as vptta's, and ``recon{1..4}``, ``recon_head``, ``denoise{1..4}``, ``denoise_head``,
``rotate_head.{0,2,4}``, ``supres{1..4}``, ``supres_head.{0,2,4}`` (grata/docs/method.md#checkpoint-layout).
A file
without branches, such as vptta's, fits a network without them; to import the branches of a file that has
them, pass ``--network_def#branches``.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from common.checkpoints.authors import rename_keys
from common.networks.resnet_unet.checkpoint import FC_LEFT_OUT as AFTER_IMPORT
from common.networks.resnet_unet.checkpoint import from_authors_resnet_unet

__all__ = ["AFTER_IMPORT", "from_authors"]

_IMAGE_BRANCHES = {"recon": "reconstruction", "denoise": "denoising", "supres": "super_resolution"}
_BRANCHES = (
    *(
        (rf"^{theirs}{i}\.{part}\.", f"branches.{ours}.blocks.{i - 1}.{named}.")
        for theirs, ours in _IMAGE_BRANCHES.items()
        for i in (1, 2, 3, 4)
        for part, named in (("conv", "conv"), ("bn", "norm"))
    ),
    *((rf"^{theirs}_head\.", f"branches.{ours}.head.") for theirs, ours in _IMAGE_BRANCHES.items()),
    *((rf"^rotate_head\.{i}\.", f"branches.rotation.{i + 2}.") for i in (0, 2, 4)),
)


def from_authors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published network's state dict, with or without ``module.``, under the keys of ours."""
    return rename_keys(from_authors_resnet_unet(state), _BRANCHES)
