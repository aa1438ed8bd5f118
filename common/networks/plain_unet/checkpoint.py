"""nnU-Net version 1 keys -> those of :mod:`common.networks.plain_unet.network`, for any number of stages.

Theirs, with n poolings: ``conv_blocks_context.<stage>.blocks.<0|1>.{conv,instnorm}``, the coarsest stage
``conv_blocks_context.<n>.<0|1>.blocks.0``; from the coarsest level up ``tu.<level>`` and
``conv_blocks_localization.<level>.<0|1>.blocks.0``; ``seg_outputs.<level>``, the last one at full resolution.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

from common.checkpoints.authors import rename_keys
from common.errors import InputError

__all__ = ["decoder_rules", "encoder_rules", "from_nnunet", "head_rules", "poolings_of"]

Rules = list[tuple[str, str]]
_PARTS = (("conv", "conv"), ("instnorm", "norm"))


def poolings_of(state: Mapping[str, Tensor]) -> int:
    """The number of poolings n of a published network, from its transposed convolutions.

    Raises:
        InputError: there are none.
    """
    levels = {int(found[1]) for key in state if (found := re.search(r"(?:^|\.)tu\.(\d+)\.weight$", key))}
    if not levels:
        raise InputError("checkpoint: no keys tu.0.weight, ...; expected a plain U-Net of nnU-Net version 1")
    return max(levels) + 1


def encoder_rules(poolings: int, theirs: str = "conv_blocks_context", ours: str = "encoder") -> Rules:
    """Rules of :func:`rename_keys` for an encoder with one first convolution."""
    return [
        rule
        for part, own in _PARTS
        for rule in (
            (rf"^{theirs}\.{poolings}\.([01])\.blocks\.0\.{part}\.", rf"{ours}.stages.{poolings}.\1.{own}."),
            (rf"^{theirs}\.(\d+)\.blocks\.([01])\.{part}\.", rf"{ours}.stages.\1.\2.{own}."),
        )
    ]


def decoder_rules(theirs: str = "conv_blocks_localization", ups: str = "tu", ours: str = "decoder") -> Rules:
    """Rules for a decoder; both count its levels from the coarsest up."""
    return [
        (rf"^{ups}\.(\d+)\.", rf"{ours}.levels.\1.up."),
        *(
            (rf"^{theirs}\.(\d+)\.([01])\.blocks\.0\.{part}\.", rf"{ours}.levels.\1.blocks.\2.{own}.")
            for part, own in _PARTS
        ),
    ]


def head_rules(poolings: int, theirs: str = "seg_outputs", ours: str = "heads") -> Rules:
    """Rules for the heads: theirs count from the coarsest level, ours from the finest."""
    return [(rf"^{theirs}\.{poolings - 1 - head}\.", f"{ours}.{head}.") for head in range(poolings)]


def from_nnunet(state: Mapping[str, Tensor], further: Iterable[tuple[str, str]] = ()) -> dict[str, Tensor]:
    """The published network's state dict, with or without ``module.``, under the keys of ``PlainUNet``.

    Args:
        state: theirs.
        further: rules for what else a network has.

    Raises:
        InputError: it is no plain U-Net of nnU-Net version 1.
    """
    n = poolings_of(state)
    rules = [(r"^module\.", ""), *encoder_rules(n), *decoder_rules(), *head_rules(n), *further]
    return rename_keys(state, rules)
