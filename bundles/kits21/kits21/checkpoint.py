"""The organisers' baseline weights (nnU-Net v1, one stage) -> ours.

Their keys, for five poolings: ``conv_blocks_context.<stage>.blocks.<0|1>.{conv,instnorm}``, the last stage
``conv_blocks_context.5.<0|1>.blocks.0``; from the coarsest level up ``tu.<level>`` and
``conv_blocks_localization.<level>.<0|1>.blocks.0``; ``seg_outputs.<level>``, the last at full resolution.

Source: kits21/docs/method.md#checkpoint-layout; the class Generic_UNet of nnU-Net v1.
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

__all__ = ["AFTER_IMPORT", "RENAMES", "from_authors", "start_from"]

logger = logging.getLogger(__name__)

AFTER_IMPORT = (
    "These weights are one stage with softmax: give --network_def#_target_ kits21.network.RegionUNet "
    "--softmax True to inference.json too. Spacing, patch and intensities are those of the plans.pkl beside "
    "them, or else the published ones: see plan.json."
)

_LEVELS = 5


def _block(theirs: str, ours: str) -> list[tuple[str, str]]:
    """Renaming rules for a block's convolutions and norms; {} in ``theirs`` is the convolution's number."""
    return [
        (rf"^{theirs.format(n)}\.{part}\.", f"{ours}.{own}{n + 1}.{'conv.' if own == 'conv' else ''}")
        for n in (0, 1)
        for part, own in (("conv", "conv"), ("instnorm", "norm"))
    ]


RENAMES = (
    (r"^module\.", ""),
    *_block(r"conv_blocks_context\.(\d)\.blocks\.{}", r"encoder.\1"),
    *_block(rf"conv_blocks_context\.{_LEVELS}\.{{}}\.blocks\.0", f"encoder.{_LEVELS}"),
    *_block(r"conv_blocks_localization\.(\d)\.{}\.blocks\.0", r"decoder.\1.conv_block"),
    (r"^tu\.(\d)\.", r"decoder.\1.transp_conv.conv."),
    *((rf"^seg_outputs\.{_LEVELS - 1 - head}\.", f"heads.{head}.conv.conv.") for head in range(3)),
)


def from_authors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published network's state dict, with or without prefix, under the keys of ``RegionUNet``.

    Left out are biases before an instance norm, which cancels them, and the heads of the two coarsest levels,
    which are not trained here.  Their heads have no bias; ours are set to 0.
    """
    renamed = rename_keys(state, RENAMES)
    kept = {
        key: value
        for key, value in renamed.items()
        if not re.fullmatch(r"seg_outputs\..*|(?:encoder|decoder)\..*conv\d\.conv\.bias", key)
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
    notes = load_state(network, state_of(read_checkpoint(weights), weights), weights, partial=True)
    logger.info("training starts from %s; %s", weights, "; ".join(notes) or "all of its weights fit")
