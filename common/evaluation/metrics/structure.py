"""E-measure and S-measure of masks, as the polyp benchmarks compute them.

Masks hold 0 and 1: the published scores threshold the prediction at 0.5 first.
Axes: (H, W).

Sources: Fan et al., Enhanced-alignment measure, IJCAI 2018; Fan et al., Structure-measure, ICCV 2017;
vptta/docs/method.md#e-measure-and-s-measure.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from common.evaluation.metrics.nested import NestedMetric

__all__ = ["EMeasure", "SMeasure", "e_measure", "s_measure"]

_EPSILON = 1e-8


def e_measure(pred: np.ndarray, truth: np.ndarray) -> float:
    """Enhanced alignment, 0 to N / (N - 1), of a map in 0..1 with a mask of 0 and 1, both (H, W).

    As published, the map is thresholded at twice its mean, so that an empty one counts as full.
    """
    pred = (pred >= min(2 * float(pred.mean()), 1.0)).astype(float)
    truth = truth.astype(float)
    if not truth.any():
        enhanced = 1 - pred
    elif truth.all():
        enhanced = pred
    else:
        d_pred, d_truth = pred - pred.mean(), truth - truth.mean()
        aligned = 2 * d_pred * d_truth / (d_pred**2 + d_truth**2 + _EPSILON)
        enhanced = (aligned + 1) ** 2 / 4
    return float(enhanced.sum() / (truth.size - 1 + _EPSILON))


def s_measure(pred: np.ndarray, truth: np.ndarray, *, alpha: float = 0.5) -> float:
    """Structure: ``alpha`` times the object score plus ``1 - alpha`` times the region score.

    1 is best; as published, a score below 0 stays.

    Args:
        pred: (H, W) in 0..1.
        truth: (H, W) of 0 and 1; where it is empty or full, the share of ``pred`` that agrees is returned.
        alpha: weight of the object score.
    """
    pred, truth = pred.astype(float), truth.astype(float)
    share = truth.mean()
    if share == 0:
        return float(1 - pred.mean())
    if share == 1:
        return float(pred.mean())
    return float(alpha * _object_score(pred, truth) + (1 - alpha) * _region_score(pred, truth))


def _object_score(pred: np.ndarray, truth: np.ndarray) -> float:
    inside = truth > 0
    share = truth.mean()
    return share * _homogeneity(pred[inside]) + (1 - share) * _homogeneity(1 - pred[~inside])


def _homogeneity(values: np.ndarray) -> float:
    mean = values.mean()
    return float(2 * mean / (mean**2 + 1 + values.std() + _EPSILON))


def _region_score(pred: np.ndarray, truth: np.ndarray) -> float:
    """Four quadrants around the reference's centre of mass, weighted by their area."""
    height, width = truth.shape
    row, column = (int(np.round(middle)) + 1 for middle in np.argwhere(truth > 0).mean(axis=0))
    score = 0.0
    for rows in (slice(0, row), slice(row, height)):
        for columns in (slice(0, column), slice(column, width)):
            part = truth[rows, columns]
            if part.size:
                score += part.size / truth.size * _similarity(pred[rows, columns], part)
    return score


def _similarity(pred: np.ndarray, truth: np.ndarray) -> float:
    mean_p, mean_t = pred.mean(), truth.mean()
    spread = pred.var() + truth.var()
    covariance = ((pred - mean_p) * (truth - mean_t)).sum() / max(truth.size - 1, 1)
    above = 4 * mean_p * mean_t * covariance
    below = (mean_p**2 + mean_t**2) * spread
    if above != 0:
        return float(above / (below + _EPSILON))
    return 1.0 if below == 0 else 0.0


class EMeasure(NestedMetric):
    """E-measure of each channel of 0 and 1."""

    def class_value(self, pred: Tensor, truth: Tensor, spacing: list[float]) -> float:
        """Score of two masks."""
        return e_measure(*(mask[0].to(torch.float64).cpu().numpy() for mask in (pred, truth)))


class SMeasure(NestedMetric):
    """S-measure (alpha 0.5) of each channel of 0 and 1."""

    def class_value(self, pred: Tensor, truth: Tensor, spacing: list[float]) -> float:
        """Score of two masks."""
        return s_measure(*(mask[0].to(torch.float64).cpu().numpy() for mask in (pred, truth)))
