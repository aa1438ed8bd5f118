"""Dice and cross-entropy of the baseline, background included, with a weight for each class.

    dice    1 - the mean over classes of (2 sum(p y) + e) / (sum(p) + sum(y) + e), sums over batch and voxels
    ce      the mean over voxels of - sum_k w_k y_k log(0.999 p_k + 5e-4)

Weights enter the mean of the Dice divided by their sum, and the cross-entropy as they are.

Axes: B batch, K classes, (D, H, W).
Source: segrap2023/docs/method.md#training.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from common.datasets.raw.segrap_classes import membership
from common.errors import InputError

__all__ = ["SMALL_CLASSES", "DiceCrossEntropy", "class_weights", "small_classes"]

#: Fine classes of small structures, which the configured weights emphasise.
SMALL_CLASSES = (3, 8, 9, *range(12, 35))
_SMOOTH = 1e-5


def class_weights(num_classes: int, *, small: float = 10.0, other: float = 1.0) -> list[float]:
    """A weight for each class of task 1: 1 for the background, then ``small`` or ``other``."""
    return [1.0, *(small if value in SMALL_CLASSES else other for value in range(1, num_classes))]


def small_classes(num_classes: int, *, instead: str) -> tuple[int, ...]:
    """The classes of small structures among ``num_classes``, background included.

    Args:
        num_classes: of a network.
        instead: what to do where they are not those of the organs.

    Raises:
        InputError: the classes are not those of the organs.
    """
    known = membership().shape[1]
    if num_classes != known:
        raise InputError(
            f"refinement: a network of {num_classes} classes; small structures are known among the {known} "
            f"of organs alone: {instead}"
        )
    return SMALL_CLASSES


class DiceCrossEntropy(nn.Module):
    """Their sum; with several scales the mean over them.

    Args:
        weights: of the K classes; None weighs all alike.

    Raises:
        ValueError: (on use) another number of weights than classes.
    """

    def __init__(self, weights: Sequence[float] | None = None) -> None:
        super().__init__()
        self.weights = None if weights is None else [float(one) for one in weights]

    def forward(self, logits: Tensor | Sequence[Tensor], target: Tensor) -> Tensor:
        """Of logits (B, K, D, H, W), or a list of them at several scales, finest first; a scalar.

        ``target`` (B, K, D, H, W) sums to one over K; it is shrunk to a scale by the mean of what falls into
        a voxel.
        """
        if isinstance(logits, Tensor):
            return self.one_scale(logits, target)
        losses = [
            self.one_scale(one, functional.adaptive_avg_pool3d(target, one.shape[2:])) for one in logits
        ]
        return torch.stack(losses).mean()

    def one_scale(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss at one scale."""
        probabilities = logits.float().softmax(dim=1)
        weights = self._weights(probabilities)
        sums = (0, 2, 3, 4)
        both = (probabilities * target).sum(sums)
        dice = (2 * both + _SMOOTH) / (probabilities.sum(sums) + target.sum(sums) + _SMOOTH)
        entropy = -(target * torch.log(0.999 * probabilities + 5e-4)).mean(dim=(0, 2, 3, 4))
        return (weights * (1 - dice)).sum() / weights.sum() + (weights * entropy).sum()

    def _weights(self, like: Tensor) -> Tensor:
        classes = like.shape[1]
        if self.weights is None:
            return like.new_ones(classes)
        if len(self.weights) != classes:
            raise ValueError(f"{len(self.weights)} weights for {classes} classes; expected one for each")
        return like.new_tensor(self.weights)
