"""The organisers' weights -> ours: PyMIC's UNet3D and nnU-Net v1's plain U-Net; UniSeg's, as a start.

Their keys: segrap2023/docs/method.md#checkpoint-layout.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from common.checkpoints.store import load_state, read_checkpoint, state_of
from common.networks.plain_unet.checkpoint import from_nnunet
from common.networks.pymic_unet import checkpoint as pymic

__all__ = ["from_authors", "start_from"]

logger = logging.getLogger(__name__)


def from_authors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A published state dict, with or without ``module.``, under the keys of the network that it is of.

    Raises:
        InputError: it is neither of the two.
    """
    if any(key.removeprefix("module.").startswith("encoder.in_conv.") for key in state):
        return pymic.from_authors(state)
    return state if _is_ours(state) else from_nnunet(state)


def _is_ours(state: Mapping[str, Tensor]) -> bool:
    return any(key.startswith(("encoder.0.", "encoder.stages.")) for key in state)


def start_from(network: nn.Module, weights: str | Path | None) -> None:
    """Start training from weights of other data, such as UniSeg's; all of the network is trained.

    Args:
        network: takes, by key, the weights that fit; what was left out and what stays random is logged.
        weights: a file; None leaves the network as it is.

    Raises:
        InputError: the file does not exist, holds no weights, or none that fit.
    """
    if weights is None:
        return
    state = from_authors(state_of(read_checkpoint(weights), weights))
    notes = load_state(network, state, weights, partial=True)
    logger.info("training starts from %s; %s", weights, "; ".join(notes) or "all of its weights fit")
