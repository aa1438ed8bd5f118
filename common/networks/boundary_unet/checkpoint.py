"""BA-Net's published keys -> those of :mod:`common.networks.boundary_unet.network`.

Theirs is nnU-Net's layout, and the same again for the boundary decoder: ``tb.<level>``,
``conv_blocks_boundary.<level>.<0|1>.blocks.0`` and ``bdr_outputs.<level>``; all count from the coarsest.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from common.checkpoints.authors import rename_keys
from common.networks.plain_unet.checkpoint import decoder_rules, encoder_rules, poolings_of

__all__ = ["from_authors"]


def from_authors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published network's state dict, with or without ``module.``, under the keys of ``BoundaryUNet``.

    Raises:
        InputError: it is no network of nnU-Net version 1.
    """
    rules = [
        (r"^module\.", ""),
        *encoder_rules(poolings_of(state)),
        *decoder_rules(),
        *decoder_rules("conv_blocks_boundary", "tb", "boundary"),
        (r"^decoder\.levels\.(\d+)\.", r"levels.\1.segmentation."),
        (r"^boundary\.levels\.(\d+)\.", r"levels.\1.boundary."),
        (r"^seg_outputs\.(\d+)\.", r"levels.\1.head."),
        (r"^bdr_outputs\.(\d+)\.", r"levels.\1.boundary_head."),
    ]
    return rename_keys(state, rules)
