"""Surface metrics of label maps in millimetres.

Label maps are (B, 1, D, H, W) or a list of (1, D, H, W) with whole numbers 0..K-1; their spacing is
that of the reference's affine.  A class that is in neither map is not counted (NaN).  A class that
is in only one map gets the worst value: the volume's diagonal as distance, 0 as surface Dice.  The distance
can leave it out instead.

Sources: 95th percentile of the larger directed surface distance (Huttenlocher et al. 1993, with
percentile); normalised surface Dice, Nikolov et al. 2018.
"""

from __future__ import annotations

import math
import warnings
from abc import abstractmethod

from monai.metrics import compute_hausdorff_distance
from monai.transforms import generate_spatial_bounding_box
from torch import Tensor
from torch.nn import functional

from common.evaluation.metrics.per_class import PerClassMetric
from common.evaluation.metrics.surface_elements import surface_dice

__all__ = ["HausdorffDistance95", "NormalizedSurfaceDice"]


class _PerClassSurfaceMetric(PerClassMetric):
    """A subclass says how to compare two masks, and the value of a class that one map lacks."""

    def class_value(self, pred: Tensor, truth: Tensor, spacing: list[float]) -> float:
        """NaN where neither map has the class; the masks are cropped to the box around both."""
        in_pred, in_truth = bool(pred.any()), bool(truth.any())
        if not in_pred and not in_truth:
            return math.nan
        if in_pred != in_truth:
            return self.worst([n * s for n, s in zip(truth.shape[1:], spacing, strict=True)])
        start, end = generate_spatial_bounding_box(pred | truth)
        box = (slice(None), *(slice(a, b) for a, b in zip(start, end, strict=True)))
        # One voxel of background all around: a structure that ends with the volume has a surface there.
        around = [1, 1] * len(spacing)
        masks = (functional.pad(mask[box][None].float(), around) for mask in (pred, truth))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*always_return_as_numpy")  # MONAI's own call
            return self.compare(*masks, spacing)

    @abstractmethod
    def worst(self, extent: list[float]) -> float:
        """Value of a class that one map lacks; ``extent`` of the volume in mm."""

    @abstractmethod
    def compare(self, pred: Tensor, truth: Tensor, spacing: list[float]) -> float:
        """Value for two masks (1, 1, D, H, W) that are not empty."""


class HausdorffDistance95(_PerClassSurfaceMetric):
    """95 % Hausdorff distance in mm, per case and class, without background.

    Args:
        num_classes: K, with background.
        count_missing: a class that is in one map alone counts, with the volume's diagonal; if not, it is left
            out (NaN), as in papers that average over the cases with a distance.
    """

    def __init__(self, num_classes: int, *, count_missing: bool = True) -> None:
        super().__init__(num_classes)
        self.count_missing = count_missing

    def worst(self, extent: list[float]) -> float:
        """The diagonal of the volume, or NaN."""
        return math.hypot(*extent) if self.count_missing else math.nan

    def compare(self, pred: Tensor, truth: Tensor, spacing: list[float]) -> float:
        """Larger of the two directed 95th percentiles."""
        distance = compute_hausdorff_distance(
            pred, truth, include_background=True, percentile=95, spacing=spacing
        )
        return float(distance)


class NormalizedSurfaceDice(_PerClassSurfaceMetric):
    """Share of both surfaces within a tolerance of each other, per case and class, in [0, 1].

    Args:
        num_classes: K, with background.
        tolerance: mm.
    """

    def __init__(self, num_classes: int, tolerance: float) -> None:
        super().__init__(num_classes)
        self.tolerance = tolerance

    def worst(self, extent: list[float]) -> float:
        """0: no surface agrees."""
        return 0.0

    def compare(self, pred: Tensor, truth: Tensor, spacing: list[float]) -> float:
        """Surface elements are weighted by their area."""
        masks = (mask[0, 0].bool().cpu().numpy() for mask in (pred, truth))
        return surface_dice(*masks, tolerance=self.tolerance, spacing=spacing)
