"""Adaptive batch norm on a GPU: two passes over z forward and two backward, by the Triton kernels of rows.

Each function does what its namesake in :mod:`common.kernels.adaptive_batch_norm.cpu` does.
"""

from __future__ import annotations

from torch import Tensor

from common.kernels.row_moments import for_each_row
from common.kernels.row_moments.triton import affine, affine_gradients, gradient_sums, moments

__all__ = ["gradient_sums", "input_gradient", "moments", "normalised"]


def normalised(
    rows: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, eps: float
) -> Tensor:
    """``weight * (rows - mean) / sqrt(variance + eps) + bias`` of rows (N * C, V); the others are (C,)."""
    samples = rows.size(0) // mean.size(0)
    scale = weight * (variance + eps).rsqrt()
    shift = bias - mean * scale
    return affine(rows, for_each_row(scale, samples), for_each_row(shift, samples))


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

    ``from_loss`` is (a, b); all arguments as in ``cpu``.
    """
    of_grad = for_each_row(weight * (variance + eps).rsqrt(), rows.size(0) // weight.size(0))
    return affine_gradients(grad, rows, centre, (of_grad, *from_loss))[0]
