"""How alike warped and fixed image are, and how much of a displacement folds; one number for each pair."""

from __future__ import annotations

import torch
from monai.metrics import CumulativeIterationMetric
from torch import Tensor

from common.registration.jacobian import folded_share

__all__ = ["Correlation", "FoldedShare", "correlation"]


def correlation(image: Tensor, other: Tensor) -> Tensor:
    """(B, C, *S) twice to Pearson's coefficient (B,) over all voxels, -1..1; NaN for a constant image."""
    a, b = (x.double().flatten(1) for x in (image, other))
    a, b = (x - x.mean(1, keepdim=True) for x in (a, b))
    return (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))


class _MeanOverPairs(CumulativeIterationMetric):
    def aggregate(self) -> Tensor:
        """Mean over the pairs, without those that have none."""
        return torch.nanmean(self.get_buffer())


class Correlation(_MeanOverPairs):
    """Normalised cross-correlation (NCC) of two images over all voxels, background included."""

    def _compute_tensor(self, y_pred: Tensor, y: Tensor | None = None) -> Tensor:
        return correlation(y_pred, y)[:, None]


class FoldedShare(_MeanOverPairs):
    """Share of voxels, in 0..1, at which the Jacobian determinant is not above 0.

    Args:
        differences: see :func:`common.registration.jacobian.jacobian_determinant`.
    """

    def __init__(self, *, differences: str = "central") -> None:
        super().__init__()
        self.differences = differences

    def _compute_tensor(self, y_pred: Tensor, y: Tensor | None = None) -> Tensor:
        return folded_share(y_pred, differences=self.differences)[:, None]
