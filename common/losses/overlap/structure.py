"""Structure loss of the polyp networks: cross-entropy plus an overlap that weighs the contour.

    loss = mean BCE(z, g)  +  mean over samples of  1 - (sum w p g + 1) / (sum w (p + g) - sum w p g + 1)
    w = 1 + 5 |mean of g over 31x31 pixels - g|      (zeros outside the picture count)

with p = sigmoid(z).  The papers weight the cross-entropy too; the released code does not, since it averages
before it weights, and the published numbers come from it.

Source: Wei et al., F3Net, AAAI 2020; Fan et al., PraNet, MICCAI 2020 (vptta/docs/method.md#structure-loss).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["StructureLoss"]

_WINDOW, _CONTOUR_WEIGHT = 31, 5.0


class StructureLoss(nn.Module):
    """Summed over the maps if the network returns several; in float32 or wider.

    Args:
        weighted_bce: weight the cross-entropy as the papers write it.
    """

    def __init__(self, *, weighted_bce: bool = False) -> None:
        super().__init__()
        self.weighted_bce = weighted_bce

    def forward(self, logits: Tensor | Sequence[Tensor], label: Tensor) -> Tensor:
        """One map (B, 1, H, W) or several, and a mask (B, 1, H, W) in [0, 1], to the scalar loss.

        Raises:
            ValueError: a map and the mask differ in shape.
        """
        maps = [logits] if isinstance(logits, Tensor) else list(logits)
        return torch.stack([self._of_one(one, label) for one in maps]).sum()

    def _of_one(self, logits: Tensor, label: Tensor) -> Tensor:
        if logits.shape != label.shape:
            raise ValueError(
                f"StructureLoss: label has shape {list(label.shape)}, logits {list(logits.shape)}; "
                "expected the same"
            )
        z = logits.to(torch.promote_types(logits.dtype, torch.float32))
        g = label.to(z.dtype)
        around = functional.avg_pool2d(g, _WINDOW, stride=1, padding=_WINDOW // 2)
        weight = 1 + _CONTOUR_WEIGHT * (around - g).abs()
        p = z.sigmoid()
        overlap = (weight * p * g).sum((2, 3))
        union = (weight * (p + g)).sum((2, 3)) - overlap
        iou = 1 - (overlap + 1) / (union + 1)
        if not self.weighted_bce:
            return functional.binary_cross_entropy_with_logits(z, g) + iou.mean()
        bce = functional.binary_cross_entropy_with_logits(z, g, reduction="none")
        return ((weight * bce).sum((2, 3)) / weight.sum((2, 3)) + iou).mean()
