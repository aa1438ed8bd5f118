"""Batches as the baseline's loss takes them: labels as a channel of each class, and mixup.

Axes: B batch, C channels, K classes, (D, H, W).
Source: segrap2023/docs/method.md#training.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from monai.networks import one_hot
from torch import Tensor

from common.training.batches import PrepareImageLabel

__all__ = ["PrepareMixup", "mixed"]


def mixed(values: Tensor, first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """``share`` of the samples ``first`` and the rest of the samples ``second``.

    Args:
        values: (B, ...).
        first: (B,) numbers of samples.
        second: (B,) numbers of samples.
        share: (B,) in [0, 1].
    """
    weight = share.to(values).reshape([-1] + [1] * (values.ndim - 1))
    return weight * values[first] + (1 - weight) * values[second]


class PrepareMixup(PrepareImageLabel):
    """Image and one-hot label (B, K, D, H, W) of a batch; with some probability both mixed.

    Two random orders of the batch are mixed, with a share from Beta(alpha, alpha) for each sample.  Numbers
    are drawn from torch's generator, which a run seeds anew for each epoch.

    Args:
        num_classes: K, with background.
        prob: that a batch is mixed.
        alpha: of the Beta distribution.
    """

    def __init__(self, num_classes: int, *, prob: float = 0.5, alpha: float = 1.0) -> None:
        self.num_classes, self.prob, self.alpha = num_classes, prob, alpha

    def __call__(
        self,
        batchdata: Mapping[str, Tensor],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor]:
        """The pair (image, label)."""
        image, label = super().__call__(batchdata, device, non_blocking, **kwargs)
        label = one_hot(label, self.num_classes)
        if torch.rand(()) >= self.prob:
            return image, label
        first, second = torch.randperm(len(image)), torch.randperm(len(image))
        share = torch.distributions.Beta(self.alpha, self.alpha).sample((len(image),))
        return mixed(image, first, second, share), mixed(label, first, second, share)
