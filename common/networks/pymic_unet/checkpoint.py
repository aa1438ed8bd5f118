"""PyMIC's keys -> those of :mod:`common.networks.pymic_unet.network`, for four stages.

Theirs: ``encoder.in_conv.conv_conv.<n>`` and ``encoder.down<1..3>.maxpool_conv.1.conv_conv.<n>``; from the
coarsest up ``decoder.up<2..4>.conv1x1`` and ``decoder.up<2..4>.conv.conv_conv.<n>``; ``decoder.out_conv``,
and with deep supervision ``decoder.out_conv<1..3>`` at a half, a quarter and an eighth of the resolution.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from common.checkpoints.authors import rename_keys

__all__ = ["from_authors"]

_LEVELS = 3
RENAMES = (
    (r"^module\.", ""),
    (r"^encoder\.in_conv\.conv_conv\.", "encoder.0."),
    (r"^encoder\.down(\d)\.maxpool_conv\.1\.conv_conv\.", r"encoder.\1."),
    *((rf"^decoder\.up{n + 2}\.conv1x1\.", f"narrowing.{n}.") for n in range(_LEVELS)),
    *((rf"^decoder\.up{n + 2}\.conv\.conv_conv\.", f"decoder.{n}.") for n in range(_LEVELS)),
    (r"^decoder\.out_conv\.", "heads.0."),
    (r"^decoder\.out_conv(\d)\.", r"heads.\1."),
)


def from_authors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published network's state dict, with or without ``module.``, under the keys of ``PyMICUNet``."""
    return rename_keys(state, RENAMES)
