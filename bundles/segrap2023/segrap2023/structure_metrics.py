"""The challenge's scores of structures, and the Dice that the baseline is chosen by, for a MONAI evaluator.

Label maps are (B, 1, D, H, W) or a list of (1, D, H, W), of the exclusive classes.

Source: segrap2023/docs/method.md#scores.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from monai.data import MetaTensor
from torch import Tensor

from common.datasets.raw.segrap_classes import membership
from common.evaluation.metrics.per_class import PerClassMetric
from common.tensors.plain import plain
from segrap2023.metrics import score_structure
from segrap2023.structures import structures_of, tolerance_mm

__all__ = ["SmoothDice", "StructureDice", "StructureSurfaceDice", "structure_names"]

_SMOOTH = 1e-5


def structure_names(task: str, names: Mapping[int, str] | None = None) -> dict[int, str]:
    """Number of a structure, from 1, to its name; see :func:`segrap2023.structures.structures_of`."""
    return dict(enumerate(structures_of(task, names), start=1))


class SmoothDice(PerClassMetric):
    """(2 |A and B| + e) / (|A| + |B| + e) of each class, e = 1e-5; 1 where both are empty.

    Args:
        num_classes: K, with background.
        classes: values of those that count; the others are left out (NaN).  None for all.
    """

    def __init__(self, num_classes: int, *, classes: Sequence[int] | None = None) -> None:
        super().__init__(num_classes)
        self.classes = None if classes is None else set(classes)

    def _compute_tensor(self, y_pred: Tensor, y: Tensor | None = None, **kwargs: Any) -> Tensor:
        values = super()._compute_tensor(y_pred, y, **kwargs)
        for value in range(1, self.num_classes):
            if self.classes is not None and value not in self.classes:
                values[:, value - 1] = math.nan
        return values

    def class_value(self, pred: Tensor, truth: Tensor, spacing: list[float]) -> float:
        """Of two masks."""
        both = int((pred & truth).sum())
        return (2 * both + _SMOOTH) / (int(pred.sum()) + int(truth.sum()) + _SMOOTH)


class StructureDice(PerClassMetric):
    """DSC of each structure, rounded to four decimals.

    Args:
        task: see :func:`segrap2023.structures.structures_of`.
        names: likewise.
    """

    metric = "DSC"

    def __init__(self, task: str = "organs", names: Mapping[int, str] | None = None) -> None:
        self.structures = structures_of(task, names)
        super().__init__(len(self.structures) + 1)

    def _compute_tensor(self, y_pred: Tensor, y: Tensor | None = None, **kwargs: Any) -> Tensor:
        if y is None:
            raise ValueError(f"{type(self).__name__}: needs a reference")
        spacing = [float(s) for s in y.pixdim] if isinstance(y, MetaTensor) else [1.0] * (y.ndim - 2)
        cases = []
        for pred, truth in zip(plain(y_pred), plain(y), strict=True):
            labels = [one[0].cpu().numpy().astype("uint8") for one in (pred, truth)]
            cases.append([self._value(number, *labels, spacing) for number in range(len(self.structures))])
        return torch.tensor(cases, dtype=torch.float64)

    def _value(self, number: int, pred: Any, truth: Any, spacing: list[float]) -> float:
        members = membership(self.structures)[number]
        tolerance = tolerance_mm(list(self.structures)[number])
        masks = (members[pred], members[truth])
        return score_structure(*masks, spacing=spacing, tolerance_mm=tolerance)[self.metric]

    def class_value(self, pred: Tensor, truth: Tensor, spacing: list[float]) -> float:
        """The score of two masks (1, D, H, W) with a tolerance of 1 mm."""
        masks = [mask[0].cpu().numpy() for mask in (pred, truth)]
        return score_structure(*masks, spacing=spacing, tolerance_mm=1.0)[self.metric]


class StructureSurfaceDice(StructureDice):
    """NSD of each structure at its own tolerance, rounded to four decimals."""

    metric = "NSD"
