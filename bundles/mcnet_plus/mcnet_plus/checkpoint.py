"""The authors' state dicts -> ours, 3D and 2D.

Theirs: ``encoder.*``, ``decoder1.*`` to ``decoder3.*``, each decoder with its own ``out_conv``
(mcnet_plus/docs/method.md#checkpoint-layout).  In this layout, checkpoints of MC-Net (two
decoders) or of a plain V-Net or U-Net fit a network with as many ``upsamplings``.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from common.checkpoints.authors import rename_keys
from common.networks.vnet.checkpoint import from_authors_vnet

__all__ = ["RENAMES_2D", "from_authors"]

_BLOCK = r"(?:maxpool_conv\.1\.)?conv_conv\."
RENAMES_2D = (
    (rf"^encoder\.in_conv\.{_BLOCK}", "encoder.blocks.0."),
    *((rf"^encoder\.down{i}\.{_BLOCK}", f"encoder.blocks.{i}.") for i in (1, 2, 3, 4)),
    *((rf"^decoder{k}\.", f"decoders.{k - 1}.") for k in (1, 2, 3, 4)),
    *((rf"^(decoders\.\d)\.up{i}\.conv\.conv_conv\.", rf"\1.blocks.{i - 1}.") for i in (1, 2, 3, 4)),
    *((rf"^(decoders\.\d)\.up{i}\.conv1x1\.", rf"\1.ups.{i - 1}.0.") for i in (1, 2, 3, 4)),
    *((rf"^(decoders\.\d)\.up{i}\.up\.", rf"\1.ups.{i - 1}.") for i in (1, 2, 3, 4)),
    (r"^(decoders\.\d)\.out_conv\.", r"\1.head."),
)


def from_authors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published network's state dict, with or without ``module.``, under the keys of ours.

    The keys tell 2D from 3D.
    """
    bare = rename_keys(state, [(r"^module\.", "")])
    if any(key.startswith("encoder.in_conv.") for key in bare):
        return rename_keys(bare, RENAMES_2D)
    decoders = {f"decoder{k}.": f"decoders.{k - 1}." for k in (1, 2, 3)}
    return from_authors_vnet(bare, encoder="encoder.", decoders=decoders)
