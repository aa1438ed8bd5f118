"""Losses of a displacement: image similarity, smoothness and, where labels are given, overlap of structures.

Source: easr_dcn/docs/method.md#losses.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from common.registration.local_correlation import LocalCorrelationLoss
from common.registration.smoothness import SmoothnessLoss
from common.registration.warp import warp

__all__ = ["RegistrationLoss", "StructureOverlapLoss"]


class StructureOverlapLoss(nn.Module):
    """1 - mean soft Dice of the structures' masks, warped linearly; structures in neither image do not count.

    Structures are processed one at a time, so that memory stays at a few volumes.
    """

    def forward(self, displacement: Tensor, moving: Tensor, fixed: Tensor) -> Tensor:
        """Displacement (B, d, *S) and label maps (B, 1, *S), 0 the background, to a scalar; 0 without any."""
        values = torch.cat([moving, fixed]).unique()
        losses = []
        for value in values[values > 0]:
            warped = warp((moving == value).to(displacement.dtype), displacement)
            target = (fixed == value).to(warped.dtype)
            axes = list(range(1, warped.ndim))
            size = (warped + target).sum(axes)
            dice = 2 * (warped * target).sum(axes) / size.clamp(min=1e-6)
            losses.append((1 - dice)[size > 0])
        return torch.cat(losses).mean() if losses else displacement.sum() * 0


class RegistrationLoss(nn.Module):
    """L = L_similarity + lambda L_smooth, plus mu L_overlap with weak supervision.

    Args:
        window: voxels along each axis, of the local correlation.
        smoothness_weight: lambda.
        overlap_weight: mu; 0 ignores the labels.
    """

    def __init__(
        self, *, window: int = 9, smoothness_weight: float = 1.0, overlap_weight: float = 0.0
    ) -> None:
        super().__init__()
        self.similarity, self.smoothness = LocalCorrelationLoss(window), SmoothnessLoss()
        self.overlap = StructureOverlapLoss()
        self.smoothness_weight, self.overlap_weight = float(smoothness_weight), float(overlap_weight)

    def forward(self, displacement: Tensor, target: Tensor) -> Tensor:
        """The loss of a displacement.

        Args:
            displacement: (B, d, *S), voxels.
            target: (B, 4, *S): moving and fixed image, moving and fixed label map
                (:class:`easr_dcn.pairs.PreparePair`).
        """
        moving, fixed, moving_label, fixed_label = target.split(1, 1)
        # Coordinates in half precision could be off by whole voxels.
        displacement = displacement.to(target.dtype)
        loss = self.similarity(warp(moving, displacement), fixed)
        loss = loss + self.smoothness_weight * self.smoothness(displacement)
        if self.overlap_weight:
            loss = loss + self.overlap_weight * self.overlap(displacement, moving_label, fixed_label)
        return loss
