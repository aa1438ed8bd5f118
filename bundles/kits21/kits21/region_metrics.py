"""The challenge's two scores of nested regions, as metrics for a MONAI evaluator.

Label maps are (B, 1, D, H, W) or a list of (1, D, H, W); one value per case and region, the outermost first.
A region in neither map scores 1, one in a single map 0.

Source: kits21/docs/method.md#metrics.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from monai.data import MetaTensor
from torch import Tensor

from common.evaluation.metrics.per_class import PerClassMetric
from common.evaluation.metrics.surface_elements import surface_dice
from common.tensors.plain import plain
from kits21.metrics import dice
from kits21.regions import NESTING, REGIONS

__all__ = ["RegionDice", "RegionSurfaceDice"]


class RegionDice(PerClassMetric):
    """Volumetric Dice of each region, in 0..1.

    Args:
        order: label values, outermost first (:func:`kits21.regions.nesting`).
    """

    def __init__(self, order: Sequence[int] = NESTING) -> None:
        super().__init__(len(order) + 1)
        self.order = tuple(order)

    def _compute_tensor(self, y_pred: Tensor, y: Tensor | None = None, **kwargs: Any) -> Tensor:
        if y is None:
            raise ValueError(f"{type(self).__name__}: needs a reference")
        spacing = [float(s) for s in y.pixdim] if isinstance(y, MetaTensor) else [1.0] * (y.ndim - 2)
        cases = []
        for pred, truth in zip(plain(y_pred), plain(y), strict=True):
            masks = [
                [torch.isin(label, label.new_tensor(self.order[r:])) for label in (pred, truth)]
                for r in range(len(self.order))
            ]
            cases.append([self.region_value(r, *both, spacing) for r, both in enumerate(masks)])
        return torch.tensor(cases, dtype=torch.float64)

    def class_value(self, pred: Tensor, truth: Tensor, spacing: list[float]) -> float:
        """The score of the outermost region."""
        return self.region_value(0, pred, truth, spacing)

    def region_value(self, region: int, pred: Tensor, truth: Tensor, spacing: list[float]) -> float:
        """Dice of two masks, bool (1, D, H, W)."""
        return float(dice(pred.cpu().numpy(), truth.cpu().numpy()))


class RegionSurfaceDice(RegionDice):
    """Surface Dice of each region at the challenge's tolerance, 0..1; a fourth region uses the third's."""

    def region_value(self, region: int, pred: Tensor, truth: Tensor, spacing: list[float]) -> float:
        """Surface Dice of two masks, bool (1, D, H, W)."""
        tolerance = REGIONS[min(region, len(REGIONS) - 1)].tolerance
        masks = (mask[0].cpu().numpy() for mask in (pred, truth))
        value = surface_dice(*masks, tolerance=tolerance, spacing=spacing)
        return 1.0 if math.isnan(value) else value
