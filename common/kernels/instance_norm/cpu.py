"""Instance norm, residual and leaky ReLU for large maps on a CPU: vectorised moments, later steps in place.

Formula and axes: :mod:`common.kernels.instance_norm.reference`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from common.kernels.row_moments import as_rows, for_each_row
from common.kernels.row_moments.cpu import affine, moments

__all__ = ["backward", "forward"]


def forward(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None, eps: float, slope: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The output, and each row's mean and 1 / sqrt(variance + eps), (B * C,)."""
    B, acc = x.size(0), torch.promote_types(x.dtype, torch.float32)
    rows = as_rows(x).to(acc)
    mean, squares = moments(rows)
    variance = squares.div_(rows.size(1))
    weight, bias = (None if t is None else for_each_row(t.to(acc), B) for t in (weight, bias))
    out = affine(rows.unsqueeze(0), weight, bias, mean, variance, eps).view(x.shape)
    if residual is not None:
        out.add_(residual)
    return F.leaky_relu_(out, slope).to(x.dtype), mean, (variance + eps).rsqrt()


def backward(
    grad: Tensor,
    x: Tensor,
    out: Tensor,
    weight: Tensor | None,
    mean: Tensor,
    inverse: Tensor,
    slope: float,
    residual: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Gradients of x, of each row's weight and bias, (B * C,), and of the residual, if there is one."""
    rows, grad, out = as_rows(x), as_rows(grad), as_rows(out)
    # By the sign of the output, which the slope does not change.
    by_residual = torch.ops.aten.leaky_relu_backward(grad.to(mean.dtype), out.to(mean.dtype), slope, True)
    by_x, by_weight, by_bias = torch.ops.aten.native_batch_norm_backward(
        by_residual.unsqueeze(0),
        rows.unsqueeze(0).to(mean.dtype),
        torch.ones_like(mean) if weight is None else for_each_row(weight.to(mean.dtype), x.size(0)),
        *(None, None, mean, inverse, True, 0.0, [True, True, True]),
    )
    return by_x.to(x.dtype), by_weight, by_bias, by_residual.to(x.dtype) if residual else None
