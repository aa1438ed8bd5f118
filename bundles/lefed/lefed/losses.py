"""Losses of one LeFeD pass: supervised with deep supervision, and consistency of the two decoders.

    L = Dice(A) + Dice(B) + sum_i w_i Dice(s_i) + mean((softmax A - softmax B)^2)

Dice has squared denominators and sums over all labelled samples together; consistency uses every sample.

Source: lefed/docs/method.md#losses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from common.losses.overlap.soft_dice import SoftDiceLoss
from lefed.output import LeFeDOutput

__all__ = ["SIDE_WEIGHTS", "DecoderConsistencyLoss", "LeFeDSupervisedLoss"]

#: Weights of the side logits, deepest first.
SIDE_WEIGHTS = (0.1, 0.2, 0.4, 0.6, 0.8)


class LeFeDSupervisedLoss(nn.Module):
    """Dice of both decoders and, weighted, of decoder A's side logits.

    Args:
        side_weights: weights of the side logits, deepest first; empty for no deep supervision.
        dice: of logits (L, K, *S) and labels (L, 1, *S); squared soft Dice by default.
    """

    def __init__(
        self,
        *,
        side_weights: Sequence[float] = SIDE_WEIGHTS,
        dice: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.side_weights = tuple(side_weights)
        self.dice = SoftDiceLoss(squared=True) if dice is None else dice

    def forward(self, output: LeFeDOutput | Tensor, label: Tensor) -> Tensor:
        """The labelled samples' output and labels (L, 1, X, Y, Z) to the scalar loss.

        For the logits of a single-decoder network it is their Dice loss.
        """
        if isinstance(output, Tensor):
            return self.dice(output, label)
        loss = self.dice(output.logits_a, label) + self.dice(output.logits_b, label)
        if self.side_weights:
            for weight, logits in zip(self.side_weights, output.side_logits, strict=True):
                loss = loss + weight * self.dice(logits, label)
        return loss


class DecoderConsistencyLoss(nn.Module):
    """Mean squared difference of the decoders' class probabilities; the gradient flows into both."""

    def forward(self, output: LeFeDOutput | Tensor) -> Tensor:
        """Output for B samples, labelled or not, to the scalar loss; at least float32.

        0 for the logits of a single-decoder network.
        """
        if isinstance(output, Tensor):
            return output.new_zeros(())
        wide = torch.promote_types(output.logits_a.dtype, torch.float32)
        difference = output.logits_a.softmax(1, dtype=wide) - output.logits_b.softmax(1, dtype=wide)
        return difference.square().mean()
