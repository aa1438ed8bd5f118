"""Sharpening: probabilities pulled towards 0 and 1, the soft pseudo labels of mutual consistency.

    S(P) = P^(1/T) / (P^(1/T) + (1 - P)^(1/T)) = sigmoid(logit(P) / T)

for every class by itself: with more than two classes the result does not sum to one.  The first form
divides 0 by 0 where P^(1/T) underflows (in float16 with T = 0.1 from P = 0.19 on); the second does not.

Source: Xie et al., UDA, 2020; Wu et al., MC-Net, MICCAI 2021, eq. 2 (mcnet_plus/docs/method.md#sharpening).
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["class_logits", "sharpen", "sharpen_logits"]


def sharpen(probability: Tensor, temperature: float = 0.1) -> Tensor:
    """Sharpen probabilities of any shape, in [0, 1]; T = 1 leaves them as they are."""
    wide = probability.to(torch.promote_types(probability.dtype, torch.float32))
    return torch.sigmoid((wide.log() - torch.log1p(-wide)) / temperature).to(probability.dtype)


def class_logits(logits: Tensor) -> Tensor:
    """logit(P_c) for P = softmax of ``logits`` (B, C, *S): z_c - log(sum of exp(z_k) over k != c).

    Exact where P_c is 0 or 1 in floating point; at least float32.
    """
    z = logits.to(torch.promote_types(logits.dtype, torch.float32))
    classes = z.shape[1]
    if classes == 2:
        return z - z.flip(1)
    others = ~torch.eye(classes, dtype=torch.bool, device=z.device)
    return torch.stack([z[:, c] - z[:, others[c]].logsumexp(1) for c in range(classes)], dim=1)


def sharpen_logits(logits: Tensor, temperature: float = 0.1) -> Tensor:
    """``sharpen(softmax(logits))`` for (B, C, *S), stable for any logits of any floating type.

    At least float32.
    """
    return torch.sigmoid(class_logits(logits) / temperature)
