"""Similarity of warped and fixed image, agreement of their structures, and folding of the displacement."""

from __future__ import annotations

import math

import torch
from monai.metrics import CumulativeIterationMetric
from torch import Tensor

from common.evaluation.metrics.overlap_and_surface import DiceCoefficient, surface_distances, surface_points
from common.evaluation.metrics.per_class import PerClassMetric
from common.registration.jacobian import folded_share

__all__ = [
    "AverageHausdorffDistance",
    "Correlation",
    "FoldedShare",
    "MaximumHausdorffDistance",
    "StructureDice",
    "correlation",
]


def correlation(image: Tensor, other: Tensor) -> Tensor:
    """Pearson's coefficient (B,), -1..1, of two (B, C, *S) over all voxels; NaN for a constant image."""
    a, b = (x.double().flatten(1) for x in (image, other))
    a, b = (x - x.mean(1, keepdim=True) for x in (a, b))
    return (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))


class _MeanOverPairs(CumulativeIterationMetric):
    def aggregate(self) -> Tensor:
        """Mean over structures, then pairs, skipping missing values; NaN if no pair has one."""
        return torch.nanmean(torch.nanmean(self.get_buffer().double(), dim=1))


class Correlation(_MeanOverPairs):
    """Normalised cross-correlation (NCC) of two images over all voxels, background included."""

    def _compute_tensor(self, y_pred: Tensor, y: Tensor | None = None) -> Tensor:
        return correlation(y_pred, y)[:, None]


class FoldedShare(_MeanOverPairs):
    """Share of voxels, 0..1, at which the Jacobian determinant is not positive.

    Args:
        differences: see :func:`common.registration.jacobian.jacobian_determinant`.
    """

    def __init__(self, *, differences: str = "replicated") -> None:
        super().__init__()
        self.differences = differences

    def _compute_tensor(self, y_pred: Tensor, y: Tensor | None = None) -> Tensor:
        return folded_share(y_pred, differences=self.differences)[:, None]


class StructureDice(_MeanOverPairs, DiceCoefficient):
    """Dice of every structure, 0..1; NaN without labels, where MONAI's mean would be 0.

    Args:
        num_classes: K, with background.
        absent: of a structure that neither map has: NaN leaves it out; the published program gives 0.
    """

    def __init__(self, num_classes: int, *, absent: float = math.nan) -> None:
        super().__init__(num_classes)
        self.absent = float(absent)

    def class_value(self, pred: Tensor, truth: Tensor, spacing: list[float]) -> float:
        """Dice of two masks, or ``absent``."""
        found = super().class_value(pred, truth, spacing)
        return self.absent if math.isnan(found) else found


class AverageHausdorffDistance(_MeanOverPairs, PerClassMetric):
    """Mean distance between a structure's two surfaces, averaged over both directions, in mm.

    SimpleITK's average Hausdorff distance, between surface voxels; NaN where a map lacks the structure.
    """

    def class_value(self, pred: Tensor, truth: Tensor, spacing: list[float]) -> float:
        """Distance between two masks, bool (1, *S)."""
        if not bool(pred.any()) or not bool(truth.any()):
            return math.nan
        one, other = (surface_points(mask[0].cpu().numpy(), spacing) for mask in (pred, truth))
        return float(surface_distances(one, other).mean() + surface_distances(other, one).mean()) / 2


class MaximumHausdorffDistance(_MeanOverPairs, PerClassMetric):
    """Largest distance from a point of either surface of a structure to the other surface, in mm.

    Between surface voxels; NaN where a map lacks the structure.
    """

    def class_value(self, pred: Tensor, truth: Tensor, spacing: list[float]) -> float:
        """Distance between two masks, bool (1, *S)."""
        if not bool(pred.any()) or not bool(truth.any()):
            return math.nan
        one, other = (surface_points(mask[0].cpu().numpy(), spacing) for mask in (pred, truth))
        return float(max(surface_distances(one, other).max(), surface_distances(other, one).max()))
