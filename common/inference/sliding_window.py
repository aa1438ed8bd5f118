"""Sliding-window inference with averaged class probabilities and mirrored test-time averaging.

Axes: B batch, C input channels, K classes, (D, H, W).
Source: cotr/docs/method.md#inference.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import torch
from monai.inferers import SlidingWindowInferer
from torch import Tensor

from common.tensors.plain import plain

__all__ = ["ProbabilityWindowInferer", "mirrored_probabilities"]

logger = logging.getLogger(__name__)


def mirrored_probabilities(
    network: Callable[..., Tensor],
    x: Tensor,
    axes: Sequence[int],
    *args: Any,
    sigmoid: bool = False,
    **kwargs: Any,
) -> Tensor:
    """Mean class probability over all 2^n flips of n spatial axes.

    Args:
        network: (B, C, D, H, W) to logits (B, K, D, H, W).
        x: (B, C, D, H, W).
        axes: spatial axes to mirror, 0 for D; empty for the plain probabilities.
        args: passed to the network, as are keyword arguments.
        sigmoid: channels are regions that may overlap, instead of classes.

    Returns:
        (B, K, D, H, W); without ``sigmoid`` it sums to one over K.
    """
    flips = [[2 + a for a in some] for n in range(len(axes) + 1) for some in combinations(axes, n)]
    total: Tensor | None = None
    for flip in flips:
        logits = network(x.flip(flip) if flip else x, *args, **kwargs)
        probabilities = logits.sigmoid() if sigmoid else logits.softmax(dim=1)
        probabilities = probabilities.flip(flip) if flip else probabilities
        total = probabilities if total is None else total.add_(probabilities)
    assert total is not None, "the empty flip is always there"
    return total.div_(len(flips)) if axes else total


class ProbabilityWindowInferer(SlidingWindowInferer):
    """MONAI's sliding window over class probabilities instead of logits.

    The result is the probability map (B, K, D, H, W).  When the device runs out of memory the
    number of windows per forward pass is halved, with a line in the log, down to one.

    Args:
        roi_size: the patch in voxels, (D, H, W).
        mirror_axes: spatial axes of the test-time mirroring; none by default.
        sigmoid: channels are regions that may overlap, instead of classes.
        arguments: those of ``monai.inferers.SlidingWindowInferer``.
    """

    def __init__(
        self,
        roi_size: Sequence[int],
        *,
        mirror_axes: Sequence[int] = (),
        sigmoid: bool = False,
        **arguments: Any,
    ) -> None:
        super().__init__(roi_size, **arguments)
        self.mirror_axes, self.sigmoid = tuple(mirror_axes), sigmoid

    def __call__(self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """(B, C, D, H, W) of any size to probabilities (B, K, D, H, W)."""

        def predict(x: Tensor, *a: Any, **k: Any) -> Tensor:
            return mirrored_probabilities(network, plain(x), self.mirror_axes, *a, sigmoid=self.sigmoid, **k)

        while True:
            try:
                return super().__call__(inputs, predict, *args, **kwargs)
            except torch.OutOfMemoryError:
                if self.sw_batch_size == 1:
                    raise
                self.sw_batch_size //= 2
                torch.cuda.empty_cache()
                logger.warning("out of memory: going on with %d windows at once", self.sw_batch_size)
