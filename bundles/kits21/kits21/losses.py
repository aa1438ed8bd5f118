"""Dice and binary cross-entropy on the nested regions of a label map.

Source: kits21/docs/method.md#region-based-variant.  Axes: B batch, R regions, (D, H, W).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from monai.losses import DeepSupervisionLoss, DiceCELoss, DiceLoss
from torch import Tensor, nn

from common.training.guards import foreground_hits
from kits21.regions import NESTING

__all__ = ["RegionHits", "RegionLoss", "TwoStageLoss", "region_targets"]

_SMOOTH = 1e-5
_SCALES = (4 / 7, 2 / 7, 1 / 7)  # 1, 1/2, 1/4, normalised


def region_targets(label: Tensor, order: Sequence[int] = NESTING) -> Tensor:
    """Masks (B, R, D, H, W) float32 of a label map (B, 1, D, H, W) of whole numbers.

    Args:
        label: the label map.
        order: label values, outermost first; region r holds order[r:].
    """
    values = torch.tensor(list(order), device=label.device, dtype=label.dtype)
    return torch.cat([torch.isin(label, values[r:]) for r in range(len(values))], dim=1).to(torch.float32)


class RegionHits:
    """How many voxels of its patches' regions the fine stage finds; for :class:`RestartWhenStuck`.

    Args:
        order: label values, outermost first.
        softmax: the fine stage tells the classes apart instead of nested regions.
    """

    def __init__(self, order: Sequence[int] = NESTING, *, softmax: bool = False) -> None:
        self.order, self.softmax = tuple(order), softmax

    def __call__(self, output: Mapping[str, Any]) -> int:
        """Of the trainer's output: ``pred`` as :class:`TwoStageLoss` takes it, ``label`` of both stages."""
        pred, label = output["pred"], output["label"]["fine"]
        fine = pred["fine"] if isinstance(pred, Mapping) else pred
        if self.softmax:
            return foreground_hits({"pred": fine, "label": label})
        logits = fine[0] if isinstance(fine, (list, tuple)) else fine
        return int(((logits > 0) & region_targets(label, self.order).bool()).sum())


class RegionLoss(nn.Module):
    """Soft Dice loss plus binary cross-entropy, the mean over regions.

    Args:
        order: label values of the network's outputs, outermost first.
        batch: Dice over the whole batch instead of case by case.
        smooth: added to numerator and denominator of the Dice; the denominator gets 1e-8 besides.
    """

    def __init__(
        self, order: Sequence[int] = NESTING, *, batch: bool = False, smooth: float = _SMOOTH
    ) -> None:
        super().__init__()
        self.order = tuple(order)
        self.dice = DiceLoss(sigmoid=True, batch=batch, smooth_nr=smooth, smooth_dr=smooth + 1e-8)
        self.cross_entropy = nn.BCEWithLogitsLoss()

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        """Logits (B, R, D, H, W) and label map (B, 1, D, H, W) to a number."""
        target = region_targets(label, self.order)
        return self.dice(logits, target) + self.cross_entropy(logits, target)


class TwoStageLoss(nn.Module):
    """The sum of both stages' losses, each over the scales of its deep supervision.

    For a one-stage network (a tensor, or a list of scales, instead of a dict) it is the fine stage's loss.

    Args:
        order: label values, outermost first.
        softmax: the fine stage tells the classes apart (Dice without the background, and cross-entropy)
            instead of nested regions; the coarse stage always has the one region of all foreground.
        batch: Dice of the fine stage over the whole batch; the coarse stage's is case by case, as in
            nnU-Net at low resolution.
        smooth: of the Dice of regions; that of classes has 1e-5.
        scales: weights of the whole, a half and a quarter of the resolution.
    """

    def __init__(
        self,
        order: Sequence[int] = NESTING,
        *,
        softmax: bool = False,
        batch: bool = False,
        smooth: float = _SMOOTH,
        scales: Sequence[float] = _SCALES,
    ) -> None:
        super().__init__()
        dice = {"smooth_nr": _SMOOTH, "smooth_dr": _SMOOTH + 1e-8}
        classes = DiceCELoss(include_background=False, to_onehot_y=True, softmax=True, batch=batch, **dice)
        fine = classes if softmax else RegionLoss(order, batch=batch, smooth=smooth)
        self.fine = DeepSupervisionLoss(fine, weights=list(scales))
        self.coarse = DeepSupervisionLoss(RegionLoss([1], smooth=smooth), weights=list(scales))

    def forward(
        self, output: Tensor | list[Tensor] | Mapping[str, list[Tensor]], target: Mapping[str, Tensor]
    ) -> Tensor:
        """Logits in training, and label maps (B, 1, ...) of both stages, to a number."""
        if not isinstance(output, Mapping):
            return self.fine(output, target["fine"])
        return self.fine(output["fine"], target["fine"]) + self.coarse(output["coarse"], target["coarse"])
