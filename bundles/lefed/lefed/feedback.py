"""The feedback of LeFeD: the difference of the two decoders' features, for the encoder's next pass.

Source: lefed/docs/method.md#feedback.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["feature_discrepancy", "feedback_maps"]


def feedback_maps(
    features_a: Sequence[Tensor], features_b: Sequence[Tensor], *, scale: float = 1e-3, deepest: bool = True
) -> list[Tensor]:
    """E_i = scale * (B_i - A_i), detached.

    Args:
        features_a: decoder A's five maps, deepest first.
        features_b: decoder B's.
        scale: lambda of the paper.
        deepest: also feed back at the bottleneck; otherwise its map is zero.
    """
    maps = [scale * (b.detach() - a.detach()) for a, b in zip(features_a, features_b, strict=True)]
    return maps if deepest else [torch.zeros_like(maps[0]), *maps[1:]]


def feature_discrepancy(features_a: Sequence[Tensor], features_b: Sequence[Tensor]) -> Tensor:
    """Mean over the stages of the mean absolute difference, a scalar without gradient."""
    means = [(b.detach() - a.detach()).abs().mean() for a, b in zip(features_a, features_b, strict=True)]
    return torch.stack(means).mean()
