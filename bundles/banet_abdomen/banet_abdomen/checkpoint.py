"""The authors' state dicts -> ours: banet_abdomen/docs/method.md#checkpoint-layout."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from common.networks.boundary_unet import checkpoint as boundary_unet
from common.networks.plain_unet.checkpoint import from_nnunet

__all__ = ["AFTER_IMPORT", "from_authors"]

AFTER_IMPORT = (
    "Weights of another setting than CT in full resolution go to its own folder: give --target "
    "models/low_resolution/model.pt, models/joint/model.pt or models/plain_mr/model.pt, and --network_def "
    "as its train config has it. Folds lie below: models/fold_0/model.pt."
)


def from_authors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of one of the four published networks under our keys.

    Raises:
        InputError: it is no network of nnU-Net version 1.
    """
    has_boundaries = any("bdr_outputs." in key for key in state)
    return boundary_unet.from_authors(state) if has_boundaries else from_nnunet(state)
