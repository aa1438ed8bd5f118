"""Mutual consistency in plain PyTorch: every decoder's probabilities against every other's sharpened ones.

    loss = sum over ordered pairs i != j of  mean((P_i - S_j)^2)
    P_i = softmax(z_i),   S_j = sigmoid(logit(P_j) / T)

over K logit maps z_i (B, C, *S); the mean runs over samples, classes and voxels.
Source: Wu et al., MC-Net+, Medical Image Analysis 81 (2022), eq. 3
(mcnet_plus/docs/method.md#mutual-consistency).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from common.tensors.sharpening import sharpen_logits

__all__ = ["check", "mutual_consistency_reference"]


def check(logits: Sequence[Tensor], temperature: float) -> None:
    """Raises ValueError unless the maps have one shape and the temperature is in range."""
    shapes = {tuple(z.shape) for z in logits}
    if len(shapes) != 1 or logits[0].ndim < 2:
        raise ValueError(
            f"mutual_consistency: logits have shapes {sorted(shapes)}; expected one shape (B, C, ...)"
        )
    if not 0 < temperature <= 1:
        raise ValueError(f"mutual_consistency: temperature={temperature}; expected above 0 and at most 1")


def mutual_consistency_reference(
    logits: Sequence[Tensor], temperature: float = 0.1, *, detach: bool = False
) -> Tensor:
    """The definition.

    Args:
        logits: K maps (B, C, *S) of one shape.
        temperature: T, in (0, 1]; 1 does not sharpen.
        detach: no gradient through the sharpened side.  The published code has one: each pair trains
            both of its decoders.

    Returns:
        The scalar loss, in float32 or wider; 0 for one map.

    Raises:
        ValueError: the shapes differ, or the temperature is out of range.
    """
    check(logits, temperature)
    dtype = torch.promote_types(logits[0].dtype, torch.float32)
    probabilities = [z.softmax(1, dtype=dtype) for z in logits]
    sharpened = [sharpen_logits(z, temperature) for z in logits]
    if detach:
        sharpened = [s.detach() for s in sharpened]
    total = torch.zeros((), dtype=dtype, device=logits[0].device) + 0 * logits[0].sum(dtype=dtype)
    for i, p in enumerate(probabilities):
        for j, s in enumerate(sharpened):
            if i != j:
                total = total + torch.mean((p - s) ** 2)
    return total
