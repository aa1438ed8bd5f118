"""The authors' state dict -> ours.

Their keys: ``U_ResTran3D.backbone.*``, ``.encoder_Detrans.*``, ``.transposeconv_stage{2,1,0}``,
``.stage{2,1,0}_de``, ``.ds{2,1,0}_cls_conv``, ``.cls_conv`` (cotr/docs/method.md#checkpoint-layout).
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from common.checkpoints.authors import rename_keys

__all__ = ["AFTER_IMPORT", "RENAMES", "from_authors"]

AFTER_IMPORT = (
    "These weights were trained in the authors' coordinate order: "
    "give --network_def#axis_order published to inference.json and evaluate.json."
)

RENAMES = (
    (r"^(?:module\.)?(?:U_ResTran3D\.)?", ""),
    # CNN encoder
    (r"^backbone\.conv1\.", "encoder.stem.conv."),
    (r"^backbone\.norm1\.", "encoder.stem.norm."),
    (r"^backbone\.(layer\d\.\d)\.conv1\.", r"encoder.\1.branch.0.conv."),
    (r"^backbone\.(layer\d\.\d)\.norm1\.", r"encoder.\1.branch.0.norm."),
    (r"^backbone\.(layer\d\.\d)\.downsample\.0\.", r"encoder.\1.shortcut.conv."),
    (r"^backbone\.(layer\d\.\d)\.downsample\.1\.", r"encoder.\1.shortcut.norm."),
    # DeTrans
    (r"^encoder_Detrans\.", "transformer."),
    (r"^transformer\.level_embed$", "transformer.level_embedding"),
    (r"^transformer\.encoder\.layers\.", "transformer.layers."),
    (r"^(transformer\.layers\.\d+\.)self_attn\.", r"\1attention."),
    (r"^(transformer\.layers\.\d+\.)linear1\.", r"\1feedforward.0."),
    (r"^(transformer\.layers\.\d+\.)linear2\.", r"\1feedforward.3."),
    # decoder
    (r"^transposeconv_stage(\d)\.", r"decoder.up\1.up."),
    (r"^stage(\d)_de\.resconv1\.", r"decoder.up\1.refine.branch.0."),
    (r"^stage(\d)_de\.resconv2\.", r"decoder.up\1.refine.branch.1."),
    (r"^ds(\d)_cls_conv\.", r"decoder.head\1."),
    (r"^cls_conv\.", "decoder.head."),
)


def from_authors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published network's state dict, with or without prefixes, under the keys of ``CoTr``.

    Weights that were trained with the authors' code belong to ``CoTr(axis_order="published")``.
    """
    return rename_keys(state, RENAMES)
