"""Dice and binary cross-entropy on the nested regions of a label map.

Source: methods card kits21, 'Region-based variant'.  Axes: B batch, R regions, (D, H, W).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from monai.losses import DeepSupervisionLoss, DiceLoss
from torch import Tensor, nn

from kits21.regions import REGIONS

__all__ = ["RegionLoss", "TwoStageLoss", "region_targets"]

_SCALES = (4 / 7, 2 / 7, 1 / 7)  # 1, 1/2, 1/4, normalised


def region_targets(label: Tensor, regions: Sequence[str] | None = None) -> Tensor:
    """Masks (B, R, D, H, W) float32 of a label map (B, 1, D, H, W) of whole numbers 0..3.

    Args:
        label: the label map.
        regions: names of the regions wanted; none: all three.

    Raises:
        ValueError: a name is unknown.
    """
    known = {region.name: region for region in REGIONS}
    names = list(known) if regions is None else list(regions)
    unknown = sorted(set(names) - set(known))
    if unknown or not names:
        raise ValueError(f"region_targets: regions {names}; need some of {', '.join(known)}")
    masks = [
        torch.isin(label, torch.tensor(known[n].labels, device=label.device, dtype=label.dtype))
        for n in names
    ]
    return torch.cat(masks, dim=1).to(torch.float32)


class RegionLoss(nn.Module):
    """Soft Dice loss plus binary cross-entropy, the mean over regions.

    Args:
        regions: names of the network's outputs in their order; none: all three.
        batch: Dice over the whole batch instead of case by case.
    """

    def __init__(self, regions: Sequence[str] | None = None, *, batch: bool = False) -> None:
        super().__init__()
        self.regions = regions
        self.dice = DiceLoss(sigmoid=True, batch=batch, smooth_nr=1e-5, smooth_dr=1e-5)
        self.cross_entropy = nn.BCEWithLogitsLoss()

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        """Logits (B, R, D, H, W) and label map (B, 1, D, H, W), whole numbers 0..3, to a number."""
        target = region_targets(label, self.regions)
        return self.dice(logits, target) + self.cross_entropy(logits, target)


class TwoStageLoss(nn.Module):
    """The sum of both stages' losses, each over the scales of its deep supervision.

    Args:
        batch: Dice of the fine stage over the whole batch; the coarse stage's always is.
        scales: weights of the whole, a half and a quarter of the resolution.
    """

    def __init__(self, *, batch: bool = False, scales: Sequence[float] = _SCALES) -> None:
        super().__init__()
        self.fine = DeepSupervisionLoss(RegionLoss(batch=batch), weights=list(scales))
        self.coarse = DeepSupervisionLoss(RegionLoss(["kidney_and_mass"], batch=True), weights=list(scales))

    def forward(self, output: Mapping[str, list[Tensor]], target: Mapping[str, Tensor]) -> Tensor:
        """Logits of ``CoarseToFine`` in training, and label maps (B, 1, ...) of both stages, to a number."""
        return self.fine(output["fine"], target["fine"]) + self.coarse(output["coarse"], target["coarse"])
