"""The authors' state dict -> ours.

Theirs: ``encoder.*``, ``decoder1.*``, ``decoder2.*`` and ``sideconv1.side5`` to ``side1``
(lefed/docs/method.md#checkpoint-layout).  A two-decoder MC-Net checkpoint has the same names, without the
side heads.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from common.checkpoints.authors import rename_keys
from common.networks.vnet.checkpoint import from_authors_vnet

__all__ = ["RENAMES", "from_authors"]

RENAMES = (
    (r"^module\.", ""),
    *((rf"^sideconv1\.side{5 - i}\.", f"side_heads.heads.{i}.") for i in range(5)),
)


def from_authors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published network's state dict, with or without ``module.``, under the keys of ours."""
    decoders = {"decoder1.": "decoder_a.", "decoder2.": "decoder_b."}
    return from_authors_vnet(rename_keys(state, RENAMES), encoder="encoder.", decoders=decoders)
