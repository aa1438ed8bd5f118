"""Batch norm on each image's own statistics, whose weight and bias are what adapts.

With batches of one image that is batch norm in training mode without running statistics; with several, every
image is normalised by itself, so that a batch gives the numbers of its images one by one.

Source: grata/docs/method.md#batch-norm-at-test-time.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from common.adaptation.working_copy import replace_batch_norms
from common.errors import InputError

__all__ = ["OwnStatisticsNorm", "affine_parameters", "convert_to_own_statistics"]


class OwnStatisticsNorm(nn.Module):
    """In place of a batch norm: no running statistics; weight and bias are copies that take gradients.

    Args:
        norm: the batch norm; its own tensors stay as they are.
    """

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__()
        self.eps = norm.eps
        for name in ("weight", "bias"):
            value = getattr(norm, name)
            self.register_parameter(name, None if value is None else nn.Parameter(value.detach().clone()))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, *S) to the same shape.

        Raises:
            ValueError: a map has a single voxel, which has no variance.
        """
        return F.instance_norm(x, weight=self.weight, bias=self.bias, eps=self.eps)


def convert_to_own_statistics(network: nn.Module) -> list[OwnStatisticsNorm]:
    """Replace the batch norms of a network, in place; returns the new layers.

    Raises:
        InputError: it has none.
    """
    return replace_batch_norms(network, OwnStatisticsNorm)


def affine_parameters(layers: Sequence[OwnStatisticsNorm | _BatchNorm]) -> list[nn.Parameter]:
    """Weight and bias of each layer in turn.

    Raises:
        InputError: no layer has any.
    """
    found = [p for layer in layers for p in (layer.weight, layer.bias) if p is not None]
    if not found:
        raise InputError("network: its batch norms have no weight and bias (affine=False): nothing can adapt")
    return found
