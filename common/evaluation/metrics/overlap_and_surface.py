"""The four metrics of semi-supervised benchmarks (left atrium, pancreas, ACDC), as medpy defines them.

Dice, Jaccard, 95 % Hausdorff distance and average surface distance of masks.  A mask's surface
consists of the voxels that an erosion with the 6-neighbour (in 2D 4-neighbour) structuring element
removes; outside the volume is background.  Distances run between the surfaces' voxel centres.

An empty prediction scores 0 in all four, as in published tables.  That flatters the distances, so
``EmptyPrediction`` counts how many there are.  Where the reference is empty the overlaps are 0 and
the distances NaN; where both are empty everything is NaN.

Source: medpy 0.4 (``dc``, ``jc``, ``hd95``, ``asd``); mcnet_plus/docs/method.md#the-four-metrics.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from scipy.ndimage import binary_erosion, generate_binary_structure
from scipy.spatial import KDTree
from torch import Tensor

from common.evaluation.metrics.per_class import PerClassMetric

__all__ = [
    "AverageSurfaceDistance",
    "DiceCoefficient",
    "EmptyPrediction",
    "JaccardIndex",
    "PooledHausdorffDistance95",
    "surface_distances",
    "surface_points",
]


def surface_points(mask: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """float64 (N, S): centres of the surface voxels of a mask.

    Args:
        mask: bool, S axes, not empty.
        spacing: spacing of each axis.
    """
    found = [np.flatnonzero(mask.any(axis=tuple({*range(mask.ndim)} - {axis}))) for axis in range(mask.ndim)]
    box = tuple(slice(f[0], f[-1] + 1) for f in found)  # beyond it all is background, as beyond the volume
    inside = mask[box]
    surface = inside & ~binary_erosion(inside, generate_binary_structure(mask.ndim, 1))
    first = np.array([part.start for part in box])
    return (np.argwhere(surface) + first) * np.asarray(spacing, float)


def surface_distances(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """float64 (N,): from each of ``points`` (N, S) to the nearest of ``others`` (M, S)."""
    return KDTree(others).query(points)[0]


class DiceCoefficient(PerClassMetric):
    """2 |A and B| / (|A| + |B|), in 0..1."""

    def class_value(self, pred: Tensor, truth: Tensor, spacing: list[float]) -> float:
        """Dice of two masks; NaN where both are empty."""
        size = int(pred.sum() + truth.sum())
        return 2 * int((pred & truth).sum()) / size if size else math.nan


class JaccardIndex(PerClassMetric):
    """|A and B| / |A or B|, in 0..1."""

    def class_value(self, pred: Tensor, truth: Tensor, spacing: list[float]) -> float:
        """Jaccard index of two masks; NaN where both are empty."""
        union = int((pred | truth).sum())
        return int((pred & truth).sum()) / union if union else math.nan


class EmptyPrediction(PerClassMetric):
    """1 where the class is in the reference and not in the prediction, else 0."""

    def class_value(self, pred: Tensor, truth: Tensor, spacing: list[float]) -> float:
        """1 for a class that was missed altogether."""
        return float(bool(truth.any()) and not bool(pred.any()))


class _SurfaceDistance(PerClassMetric):
    """A summary of the distances between two surfaces.

    Args:
        num_classes: K, with background.
        in_mm: measure in millimetres, by the reference's affine, instead of voxels.
    """

    def __init__(self, num_classes: int, *, in_mm: bool = False) -> None:
        super().__init__(num_classes)
        self.in_mm = in_mm

    def class_value(self, pred: Tensor, truth: Tensor, spacing: list[float]) -> float:
        """0 for an empty prediction, NaN for an empty reference."""
        if not bool(truth.any()):
            return math.nan
        if not bool(pred.any()):
            return 0.0
        steps = spacing if self.in_mm else [1.0] * len(spacing)
        points, others = (surface_points(mask[0].cpu().numpy(), steps) for mask in (pred, truth))
        return self.summary(points, others)

    @abstractmethod
    def summary(self, points: np.ndarray, others: np.ndarray) -> float:
        """Summarise, given the prediction's surface points (N, S) and the reference's (M, S)."""


class PooledHausdorffDistance95(_SurfaceDistance):
    """95th percentile of the distances of both directions, pooled.

    ``common.evaluation.metrics.surface.HausdorffDistance95`` takes the larger of two percentiles instead.
    """

    def summary(self, points: np.ndarray, others: np.ndarray) -> float:
        """Linear interpolation between ranks."""
        both = (surface_distances(points, others), surface_distances(others, points))
        return float(np.percentile(np.hstack(both), 95))


class AverageSurfaceDistance(_SurfaceDistance):
    """Mean distance from the prediction's surface to the reference's; not the other way round."""

    def summary(self, points: np.ndarray, others: np.ndarray) -> float:
        """One direction."""
        return float(surface_distances(points, others).mean())
