"""Prediction from a view and its left-right mirror image, where some classes exist on either side.

The mirror image of a left kidney looks like a right one, so what a network says of it is mirrored back, and
the channels of each pair are exchanged, before both views are averaged.

Axes: B batch, C channels, K classes, *S spatial ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from common.transforms.paired_flip import Pairs, swap_channels

__all__ = ["of_both_views"]


def of_both_views(network: Callable[..., Tensor], pairs: Pairs, *, axis: int) -> Callable[..., Tensor]:
    """A network that gives the mean of the class probabilities of both views.

    Args:
        network: (B, C, *S) to logits (B, K, *S) of exclusive classes.
        pairs: channels of a left and a right class, (left, right); empty exchanges none.
        axis: the left-right one, 0 for the first of S.

    Returns:
        (B, C, *S) to logarithms of that mean (B, K, *S), float32; their softmax is the mean.
    """

    def predict(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        seen = network(x, *args, **kwargs).float().log_softmax(dim=1)
        mirrored = network(x.flip(axis + 2), *args, **kwargs).float().log_softmax(dim=1).flip(axis + 2)
        exchanged = swap_channels(mirrored.transpose(0, 1), pairs).transpose(0, 1)
        return torch.logaddexp(seen, exchanged) - math.log(2)

    return predict
