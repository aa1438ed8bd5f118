"""Soft Dice loss over a whole batch at once, with plain or squared denominators.

    loss = mean over classes c of  1 - (a sum(p_c g_c) + smooth_nr) / (sum p_c^e + sum g_c + smooth_dr)

p = softmax(logits), g one-hot, a = 2, e = 1 (plain) or 2 (squared), sums over samples and voxels together.
Differs from ``monai.losses.DiceLoss`` in that it sums in float32 whatever the logits are (in float16 a
volume's sum overflows), and that the factor of the overlap can be chosen.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["SoftDiceLoss"]


class SoftDiceLoss(nn.Module):
    """Soft Dice of logits against a label map.

    Args:
        include_background: count class 0 as one of the classes; two classes without it are the binary
            soft Dice of the foreground.
        squared: square the probabilities in the denominator.
        smooth_nr: added to the numerator.
        smooth_dr: added to the denominator.
        overlap: factor of the overlap.  With 2 a perfect prediction costs 0.  MC-Net's published 2D code
            has 1: the loss is then at least 0.5, and its gradient half the usual one.
    """

    def __init__(
        self,
        *,
        include_background: bool = False,
        squared: bool = False,
        smooth_nr: float = 1e-5,
        smooth_dr: float = 1e-5,
        overlap: float = 2.0,
    ) -> None:
        super().__init__()
        self.first = 0 if include_background else 1
        self.squared, self.overlap = squared, overlap
        self.smooth_nr, self.smooth_dr = smooth_nr, smooth_dr

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        """(B, C, *S) logits and (B, 1, *S) integer labels to the scalar loss.

        Raises:
            ValueError: the shapes do not match.
        """
        if label.shape != logits.shape[:1] + (1,) + logits.shape[2:]:
            raise ValueError(
                f"SoftDiceLoss: label has shape {tuple(label.shape)}, logits {tuple(logits.shape)}; "
                "expected the same with one channel"
            )
        probability = logits.softmax(1, dtype=torch.promote_types(logits.dtype, torch.float32))
        terms: list[Tensor] = []
        for c in range(self.first, logits.shape[1]):
            p, g = probability[:, c], (label[:, 0] == c).to(probability.dtype)
            overlap = torch.sum(p * g)
            total = torch.sum(p * p if self.squared else p) + g.sum()
            terms.append(1 - (self.overlap * overlap + self.smooth_nr) / (total + self.smooth_dr))
        return torch.stack(terms).mean()
