"""The organisers' baseline weights (nnU-Net v1, one stage) -> ours.

Their keys: :mod:`common.networks.plain_unet.checkpoint` and kits21/docs/method.md#checkpoint-layout.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from common.checkpoints.authors import rename_keys
from common.checkpoints.store import load_state, read_checkpoint, state_of
from common.networks.plain_unet.checkpoint import from_nnunet

__all__ = ["AFTER_IMPORT", "EARLIER", "from_authors", "from_earlier", "start_from"]

logger = logging.getLogger(__name__)

AFTER_IMPORT = (
    "These weights are one stage with softmax: give --network_def#_target_ kits21.network.RegionUNet "
    "--softmax True to inference.json too. Spacing, patch and intensities are those of the plans.pkl beside "
    "them, or else the published ones: see plan.json."
)

_STAGE = r"^((?:coarse\.|fine\.)?)"
#: Names of version 0.1.0, made of MONAI's blocks: in both stages, or in one alone.
EARLIER = (
    (_STAGE + r"encoder\.(\d)\.(?=conv|norm)", r"\1encoder.stages.\2."),
    (_STAGE + r"decoder\.(\d)\.transp_conv\.conv\.", r"\1decoder.levels.\2.up."),
    (_STAGE + r"decoder\.(\d)\.conv_block\.", r"\1decoder.levels.\2.blocks."),
    (r"\.conv1\.conv\.", ".0.conv."),
    (r"\.conv2\.conv\.", ".1.conv."),
    (r"\.norm1\.", ".0.norm."),
    (r"\.norm2\.", ".1.norm."),
    (_STAGE + r"heads\.(\d)\.conv\.conv\.", r"\1heads.\2."),
)


def from_earlier(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of version 0.1.0 under today's names; today's stay as they are."""
    return rename_keys(state, EARLIER)


def from_authors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published network's state dict, with or without prefix, under the keys of ``RegionUNet``.

    Left out are biases before an instance norm, which cancels them, and the heads of the two coarsest levels,
    which are not trained here.  Their heads have no bias; ours are set to 0.

    Raises:
        InputError: it is no plain U-Net of nnU-Net version 1.
    """
    kept = {
        key: value
        for key, value in from_nnunet(state).items()
        if not re.fullmatch(r"heads\.[34]\..*|(?:encoder|decoder)\..*\.conv\.bias", key)
    }
    for key, value in list(kept.items()):
        bias = key.removesuffix("weight") + "bias"
        if key.startswith("heads.") and bias not in kept:
            kept[bias] = torch.zeros(value.shape[0], dtype=value.dtype)
    return kept


def start_from(network: nn.Module, weights: str | Path | None) -> None:
    """Start training from weights of other data, and train all of them (kits21/docs/method.md#transfer).

    Args:
        network: takes the weights that fit, in place; heads for other classes stay random, which is logged.
        weights: a bare state dict such as ``models/model.pt``; None leaves the network as it is.

    Raises:
        InputError: the file does not exist, holds no weights, or none that fit.
    """
    if weights is None:
        return
    state = from_earlier(state_of(read_checkpoint(weights), weights))
    notes = load_state(network, state, weights, partial=True)
    logger.info("training starts from %s; %s", weights, "; ".join(notes) or "all of its weights fit")
