"""The keys of the authors' ResNet U-Nets -> those of :class:`common.networks.resnet_unet.network.ResNetUNet`.

Theirs: the encoder under ``res.*`` with ImageNet's names (vptta, grata, trid), or as a list ``rn.0`` (first
convolution), ``rn.1`` (its norm), ``rn.4`` to ``rn.7`` (layers; prosfda, hitta), or that list moved up by
one, after ``first_layer`` (ccsdg); the decoder as ``up1`` to ``up5``, ``bnout`` and ``seg_head``
(vptta/docs/method.md#checkpoint-layout).
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from common.checkpoints.authors import rename_keys

__all__ = ["FC_LEFT_OUT", "from_authors_resnet_unet"]

#: What an importer says about the encoder's ImageNet classifier.
FC_LEFT_OUT = "The encoder's ImageNet classifier (fc), which nothing here uses, was left out if it was there."

_ENCODERS = {
    "res.": [(r"^res\.", "encoder.")],
    "rn.": [
        (r"^rn\.0\.", "encoder.conv1."),
        (r"^rn\.1\.", "encoder.bn1."),
        *((rf"^rn\.{i + 3}\.", f"encoder.layer{i}.") for i in (1, 2, 3, 4)),
    ],
    "first_layer.": [
        (r"^first_layer\.", "encoder.conv1."),
        (r"^rn\.0\.", "encoder.bn1."),
        *((rf"^rn\.{i + 2}\.", f"encoder.layer{i}.") for i in (1, 2, 3, 4)),
    ],
}
_DECODER = (
    *((rf"^up{i}\.x_conv\.", f"blocks.{i - 1}.skip.") for i in (1, 2, 3, 4)),
    *((rf"^up{i}\.tr_conv\.", f"blocks.{i - 1}.deep.") for i in (1, 2, 3, 4)),
    *((rf"^up{i}\.bn\.", f"blocks.{i - 1}.norm.") for i in (1, 2, 3, 4)),
    (r"^up5\.", "head.up."),
    (r"^bnout\.", "head.norm."),
    (r"^seg_head\.", "head.conv."),
)


def from_authors_resnet_unet(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the keys of the encoder and decoder and leave ``fc`` out; other keys stay as they are.

    Args:
        state: the authors' state dict, with or without ``module.``.

    Raises:
        InputError: two keys become one.
    """
    bare = rename_keys(state, [(r"^module\.", "")])
    layout = next((p for p in ("first_layer.", "rn.", "res.") if any(k.startswith(p) for k in bare)), "res.")
    renamed = rename_keys(bare, [*_ENCODERS[layout], *_DECODER])
    return {key: value for key, value in renamed.items() if not key.startswith("encoder.fc.")}
