"""Dice and binary cross-entropy on nested classes: each class's channel holds the classes inside it too.

    channel c = (label > c):  disc (rim and cup) and cup from 0 background, 1 rim, 2 cup
    loss = 1 - (2 sum(p g) + 1) / (sum p + sum g + 1)  +  mean of the binary cross-entropy

with p = sigmoid(logits) and all sums over samples, channels and pixels together.

Source: grata/docs/method.md#losses and trid/docs/method.md#losses and
vptta/docs/method.md#dice-and-cross-entropy; MONAI's DiceCELoss on the flattened batch computes it.
"""

from __future__ import annotations

import torch
from monai.losses import DiceCELoss
from torch import Tensor, nn

from common.tensors.nested import nested_channels

__all__ = ["NestedDiceBCELoss"]


class NestedDiceBCELoss(nn.Module):
    """Dice of the flattened batch plus binary cross-entropy, each with weight one, in float32 or wider.

    Args:
        smooth: added to the numerator and denominator of the Dice.
    """

    def __init__(self, smooth: float = 1.0) -> None:
        super().__init__()
        self.loss = DiceCELoss(sigmoid=True, smooth_nr=smooth, smooth_dr=smooth)

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        """(B, K, *S) logits and (B, 1, *S) labels 0 to K to the scalar loss.

        Raises:
            ValueError: the shapes do not match.
        """
        if label.shape != logits.shape[:1] + (1,) + logits.shape[2:]:
            raise ValueError(
                f"NestedDiceBCELoss: label has shape {list(label.shape)}, logits {list(logits.shape)}; "
                "expected the same with one channel"
            )
        return self.of_channels(logits, nested_channels(label, logits.shape[1] + 1, dim=1))

    def of_channels(self, logits: Tensor, target: Tensor) -> Tensor:
        """(B, K, *S) logits and targets of the same shape in [0, 1] to the scalar loss."""
        wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return self.loss(wide.reshape(1, 1, -1), target.to(wide.dtype).reshape(1, 1, -1))
