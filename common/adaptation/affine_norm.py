"""Batch norm on each image's own statistics; its weight and bias are what adapts.

For a batch of one image this is batch norm in training mode without running statistics.  In larger batches
every image is normalised by itself, so a batch gives the same numbers as its images one by one.

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
    """Replaces a batch norm: no running statistics; weight and bias are copies that receive gradients.

    Args:
        norm: the batch norm to replace; its own tensors are not changed.
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
        if len(x) == 1:  # the same without a copy of weight and bias
            return F.batch_norm(x, None, None, self.weight, self.bias, training=True, eps=self.eps)
        return F.instance_norm(x, weight=self.weight, bias=self.bias, eps=self.eps)


def convert_to_own_statistics(network: nn.Module) -> list[OwnStatisticsNorm]:
    """Replace the batch norms of a network, in place, and return the new layers.

    Raises:
        InputError: the network has none.
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
