"""Entropy of sigmoid predictions, the loss of test-time methods without labels.

Axes: B batch, K sigmoid channels, *S spatial.
Source: Wang et al., TENT, ICLR 2021; the one-sided form: grata/docs/method.md#one-adaptation-step.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["sigmoid_entropy"]


def sigmoid_entropy(logits: Tensor, *, one_sided: bool = False) -> Tensor:
    """Summed over the channels, averaged over samples and pixels; in nats.

    Args:
        logits: (B, K, *S).
        one_sided: -p log(p + 1e-6) alone, without the term for 1 - p: what GraTa's code calls entropy.

    Returns:
        A scalar, float32 or wider.
    """
    z = logits.to(torch.promote_types(logits.dtype, torch.float32))
    p = z.sigmoid()
    entropy = -p * (p + 1e-6).log() if one_sided else F.softplus(z) - z * p
    return entropy.sum(1).mean()
