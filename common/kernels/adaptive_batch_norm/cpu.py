"""Adaptive batch norm on a CPU: its passes over z and the gradient, for each row.

A row is the V voxels of one (sample, channel) pair, as in :mod:`common.kernels.row_moments`; N samples, C
channels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from common.kernels.row_moments import for_each_row
from common.kernels.row_moments.cpu import affine, blocks_of_rows, moments

__all__ = ["gradient_sums", "input_gradient", "moments", "normalised"]


def normalised(
    rows: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, eps: float
) -> Tensor:
    """``weight * (rows - mean) / sqrt(variance + eps) + bias`` of rows (N * C, V); the others are (C,)."""
    return affine(rows.unflatten(0, (-1, mean.size(0))), weight, bias, mean, variance, eps)


def input_gradient(
    grad: Tensor,
    rows: Tensor,
    centre: Tensor,
    from_loss: tuple[Tensor, Tensor],
    weight: Tensor,
    variance: Tensor,
    eps: float,
) -> Tensor:
    """For each row ``weight / sqrt(variance + eps) * grad + a * (rows - centre) + b``.

    Args:
        grad: (N * C, V), the gradient with respect to the output.
        rows: (N * C, V), the input.
        centre: (N * C,), the mean of each row.
        from_loss: (a, b), (N * C,) each.
        weight: (C,).
        variance: (C,), of the norm.
        eps: added to the variance.
    """
    by_deviation, by_mean = from_loss
    samples = rows.size(0) // weight.size(0)
    if samples > 1:
        weight, variance = for_each_row(weight, samples), for_each_row(variance, samples)
    constant = torch.addcmul(by_mean, by_deviation, centre, value=-1)
    by_rows = affine(
        grad.unsqueeze(0).to(centre.dtype), weight, constant, torch.zeros_like(centre), variance, eps
    )
    return by_rows[0].addcmul_(rows, by_deviation.unsqueeze(1)).to(rows.dtype)


def gradient_sums(grad: Tensor, rows: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
    """For each row the sums of grad and of ``grad * (rows - centre)``."""
    total, products = torch.empty_like(centre), torch.empty_like(centre)
    for block in blocks_of_rows(rows):
        wide = grad[block].to(centre.dtype)
        total[block] = wide.sum(1)
        products[block] = ((rows[block] - centre[block].unsqueeze(1)) * wide).sum(1)
    return total, products
