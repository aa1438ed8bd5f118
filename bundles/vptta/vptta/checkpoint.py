"""The authors' state dicts -> ours: the ResNet U-Net of the fundus benchmark, PraNet of the polyp benchmark.

Theirs: bare state dicts; the U-Net as ``res.*``, ``up{1..5}``, ``bnout``, ``seg_head``; PraNet as
``resnet.*``, ``rfb{2,3,4}_1.*``, ``agg1.*``, ``ra{4,3,2}_conv{k}.*``
(vptta/docs/method.md#checkpoint-layout).  A
network adapted at test time has the keys of the plain one.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from common.checkpoints.authors import rename_keys
from common.networks.resnet_unet.checkpoint import FC_LEFT_OUT as AFTER_IMPORT
from common.networks.resnet_unet.checkpoint import from_authors_resnet_unet

__all__ = ["AFTER_IMPORT", "PRANET", "from_authors"]

PRANET = (
    (r"^module\.", ""),
    (r"^(?!resnet\.)(.*)\.bn\.", r"\1.adn.N."),
    (r"^resnet\.", "encoder."),
    *((rf"^rfb{i}_1\.", f"fields.{i - 2}.") for i in (2, 3, 4)),
    *((rf"^(fields\.\d)\.branch{i}\.", rf"\1.branches.{i}.") for i in (0, 1, 2, 3)),
    (r"^(fields\.\d)\.conv_cat\.", r"\1.join."),
    (r"^(fields\.\d)\.conv_res\.", r"\1.shortcut."),
    *((rf"^agg1\.conv_upsample{i}\.", f"decoder.ups.{i - 1}.") for i in (1, 2, 3, 4, 5)),
    (r"^agg1\.conv_concat2\.", "decoder.join3."),
    (r"^agg1\.conv_concat3\.", "decoder.join2."),
    (r"^agg1\.conv4\.", "decoder.mix."),
    (r"^agg1\.conv5\.", "decoder.head."),
    *((rf"^ra(\d)_conv{i}\.", rf"reverse\1.layers.{i - 1}.") for i in (1, 2, 3, 4, 5)),
)


def from_authors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A published network's state dict under the keys of ours, without the encoder's ``fc``.

    The keys tell PraNet from the U-Net.
    """
    if not any(".rfb" in f".{key}" for key in state):
        return from_authors_resnet_unet(state)
    renamed = rename_keys(state, PRANET)
    return {key: value for key, value in renamed.items() if not key.startswith("encoder.fc.")}
