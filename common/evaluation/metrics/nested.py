"""Metrics of nested sigmoid channels, as the fundus and prostate benchmarks compute them.

Predictions are (B, K - 1, *S) or a list of (K - 1, *S) of 0 and 1; references label maps (B, 1, *S)
with whole numbers 0..K-1.  Class c is compared as the channel that holds it and all classes inside it.

Source: trid/docs/method.md#dice-and-surface-distance.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from common.evaluation.metrics.overlap_and_surface import surface_distances, surface_points
from common.evaluation.metrics.per_class import PerClassMetric
from common.tensors.plain import plain

__all__ = ["NestedDice", "NestedSurfaceDistance"]

_SMOOTH = 1e-6
EMPTY_DISTANCE = 100.0


class NestedMetric(PerClassMetric):
    """One value per case and channel; pixels, whatever the spacing."""

    def _compute_tensor(self, y_pred: Tensor, y: Tensor | None = None, **kwargs: Any) -> Tensor:
        if y is None:
            raise ValueError(f"{type(self).__name__}: needs a reference")
        cases = []
        for pred, truth in zip(plain(y_pred), plain(y), strict=True):
            if len(pred) != self.num_classes - 1:
                raise ValueError(
                    f"{type(self).__name__}: {len(pred)} channels; expected {self.num_classes - 1}, one for "
                    f"each class but the background"
                )
            spacing = [1.0] * (truth.ndim - 1)
            cases.append(
                [
                    self.class_value(pred[c - 1 : c] > 0, truth >= c, spacing)
                    for c in range(1, self.num_classes)
                ]
            )
        return torch.tensor(cases, dtype=torch.float64)


class NestedDice(NestedMetric):
    """(2 |A and B| + 1e-6) / (|A| + |B| + 1e-6), in 0..1: 1 where both are empty."""

    def class_value(self, pred: Tensor, truth: Tensor, spacing: list[float]) -> float:
        """Dice of two masks."""
        return (2 * int((pred & truth).sum()) + _SMOOTH) / (int(pred.sum()) + int(truth.sum()) + _SMOOTH)


class NestedSurfaceDistance(NestedMetric):
    """Mean distance from the prediction's surface to the reference's, in pixels; not the other way round.

    100 where either mask is empty or fills the image: the published convention.
    """

    def class_value(self, pred: Tensor, truth: Tensor, spacing: list[float]) -> float:
        """Directed average surface distance of two masks."""
        if any(not bool(mask.any()) or bool(mask.all()) for mask in (pred, truth)):
            return EMPTY_DISTANCE
        points, others = (surface_points(mask[0].cpu().numpy(), spacing) for mask in (pred, truth))
        return float(surface_distances(points, others).mean())
