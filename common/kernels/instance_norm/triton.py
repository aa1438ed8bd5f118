"""Instance norm, residual and leaky ReLU on a GPU: two passes over x forward and two backward.

The kernels are those for rows, :mod:`common.kernels.row_moments.triton`; formula and axes:
:mod:`common.kernels.instance_norm.reference`.
"""

from __future__ import annotations

from torch import Tensor

from common.kernels.row_moments import as_rows, for_each_row
from common.kernels.row_moments.triton import affine, affine_gradients, gradient_sums, moments

__all__ = ["backward", "forward"]


def forward(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None, eps: float, slope: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The output, and each row's mean and 1 / sqrt(variance + eps), (B * C,)."""
    rows = as_rows(x)
    mean, squares = moments(rows)
    inverse = (squares / rows.size(1) + eps).rsqrt()
    scale = _scale(weight, inverse, x.size(0))
    shift = -mean * scale
    if bias is not None:
        shift += for_each_row(bias.to(mean.dtype), x.size(0))
    added = None if residual is None else as_rows(residual)
    out = affine(rows, scale, shift, residual=added, slope=slope)
    return out.view(x.shape), mean, inverse


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
    total, products = gradient_sums(grad, rows, mean, out=out, slope=slope)
    scale = _scale(weight, inverse, x.size(0))
    voxels = rows.size(1)
    factors = (scale, -scale * inverse**2 * products / voxels, -scale * total / voxels)
    by_x, by_residual = affine_gradients(grad, rows, mean, factors, out=out, slope=slope, residual=residual)
    return by_x, products * inverse, total, by_residual


def _scale(weight: Tensor | None, inverse: Tensor, samples: int) -> Tensor:
    """What each row is multiplied by."""
    return inverse if weight is None else for_each_row(weight.to(inverse.dtype), samples) * inverse
