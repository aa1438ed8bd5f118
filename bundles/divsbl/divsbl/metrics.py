"""How close a recovered signal is to the true one."""

from __future__ import annotations

import torch
from monai.metrics import CumulativeIterationMetric
from torch import Tensor

__all__ = ["CorrelationCoefficient", "NormalizedError", "normalized_error"]


def normalized_error(found: Tensor, truth: Tensor, *, root: bool = False) -> Tensor:
    """NMSE (B,) = |found - truth|^2 / |truth|^2 over all axes but the first, or its root.

    NaN where the truth is 0.
    """
    wrong = (found.double() - truth.double()).flatten(1).square().sum(1)
    power = truth.double().flatten(1).square().sum(1)
    error = torch.where(power > 0, wrong / power, torch.nan)
    return error.sqrt() if root else error


class _MeanOverCases(CumulativeIterationMetric):
    def aggregate(self) -> Tensor:
        """Mean over the cases that have a value."""
        return torch.nanmean(self.get_buffer())


class NormalizedError(_MeanOverCases):
    """NMSE of each case.

    Args:
        root: take the square root, as the paper does for pictures.
    """

    def __init__(self, *, root: bool = False) -> None:
        super().__init__()
        self.root = root

    def _compute_tensor(self, y_pred: Tensor, y: Tensor | None = None) -> Tensor:
        return normalized_error(y_pred, y, root=self.root)[:, None]


class CorrelationCoefficient(_MeanOverCases):
    """Pearson's coefficient of each case, over all its samples."""

    def _compute_tensor(self, y_pred: Tensor, y: Tensor | None = None) -> Tensor:
        found, truth = (v.double().flatten(1) for v in (y_pred, y))
        found, truth = (v - v.mean(1, keepdim=True) for v in (found, truth))
        return ((found * truth).sum(1) / (found.norm(dim=1) * truth.norm(dim=1)))[:, None]
