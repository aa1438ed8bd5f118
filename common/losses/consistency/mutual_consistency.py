"""Mutual consistency of several decoders as a loss module."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from common.kernels.mutual_consistency import mutual_consistency

__all__ = ["MutualConsistencyLoss"]


class MutualConsistencyLoss(nn.Module):
    """Sum over ordered pairs of decoders of the mean squared difference of P_i and sharpened P_j.

    See :mod:`common.kernels.mutual_consistency`.

    Args:
        temperature: of the sharpening, in (0, 1]; 1 does not sharpen.
        detach: take the sharpened side as a constant.
    """

    def __init__(self, temperature: float = 0.1, *, detach: bool = False) -> None:
        super().__init__()
        self.temperature, self.detach = temperature, detach

    def forward(self, logits: Tensor | Sequence[Tensor]) -> Tensor:
        """K maps (B, C, *S), labelled and unlabelled samples alike, to the scalar; 0 for a single map."""
        maps = [logits] if isinstance(logits, Tensor) else list(logits)
        return mutual_consistency(maps, self.temperature, detach=self.detach)
