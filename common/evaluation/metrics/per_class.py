"""Metrics of label maps, one value per case and class, collected over an evaluation.

Label maps are (B, 1, *S) or a list of (1, *S) with whole numbers 0..K-1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from monai.data import MetaTensor
from monai.metrics import CumulativeIterationMetric
from monai.metrics.utils import do_metric_reduction
from torch import Tensor

from common.tensors.plain import plain

__all__ = ["PerClassMetric"]


class PerClassMetric(CumulativeIterationMetric, ABC):
    """Collects (cases, K - 1), without background; aggregates to the mean of what is not NaN.

    Args:
        num_classes: K, with background.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes

    def _compute_tensor(self, y_pred: Tensor, y: Tensor | None = None, **kwargs: Any) -> Tensor:
        if y is None:
            raise ValueError(f"{type(self).__name__}: needs a reference")
        spacing = [float(s) for s in y.pixdim] if isinstance(y, MetaTensor) else [1.0] * (y.ndim - 2)
        cases = [
            [self.class_value(p == c, t == c, spacing) for c in range(1, self.num_classes)]
            for p, t in zip(plain(y_pred), plain(y), strict=True)
        ]
        return torch.tensor(cases, dtype=torch.float64)

    @abstractmethod
    def class_value(self, pred: Tensor, truth: Tensor, spacing: list[float]) -> float:
        """Value for two masks, bool (1, *S); ``spacing`` in mm, from the reference's affine; NaN: none."""

    def aggregate(self) -> Tensor:
        """Mean over classes, then cases, of what is not NaN."""
        mean, _ = do_metric_reduction(self.get_buffer(), "mean")
        return mean
