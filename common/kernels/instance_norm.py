"""Instance norm, an optional residual, leaky ReLU: the end of most convolution blocks, as one operator.

    y = leaky_relu(weight * (x - mean) / sqrt(variance + eps) + bias + residual)

Mean and (biased) variance are those of each sample's channel.  Source: Ulyanov et al., 2016; the block is
nnU-Net's (Isensee et al., 2021).

Axes: B batch, C channels, *S spatial, (H, W) or (D, H, W), V voxels in all.

Three forms: the reference; for large maps on a CPU vectorised moments (``row_moments``) and the later steps
in place; for CUDA Triton kernels, two passes over x forward and two backward (``row_moments_triton``).
Whether these beat the compiled reference has not been measured: until it is, only ``COMMON_KERNELS=triton``
selects them.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from common.kernels import row_moments
from common.kernels.selection import choose, exporting

__all__ = ["instance_norm_leaky_relu", "instance_norm_leaky_relu_reference"]

# Elements from which the form for the CPU is the faster one, without and with gradients.
_LARGE = (1 << 17, 400_000)


def _check(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None, slope: float
) -> None:
    if x.dim() < 3 or (x.numel() and x[0, 0].numel() < 2):
        raise ValueError(
            f"instance_norm_leaky_relu: x has shape {list(x.shape)}; expected (B, C, *S), two voxels or more"
        )
    if (weight is None) != (bias is None):
        raise ValueError("instance_norm_leaky_relu: weight and bias come together; expected both or neither")
    if weight is not None and bias is not None and not list(weight.shape) == list(bias.shape) == [x.size(1)]:
        raise ValueError(
            f"instance_norm_leaky_relu: weight has shape {list(weight.shape)}, bias {list(bias.shape)}; "
            f"expected [{x.size(1)}], the channels of x"
        )
    if residual is not None and residual.shape != x.shape:
        raise ValueError(
            f"instance_norm_leaky_relu: the residual has shape {list(residual.shape)}, x {list(x.shape)}; "
            "expected the same"
        )
    if slope < 0:
        raise ValueError(f"instance_norm_leaky_relu: slope={slope}; expected 0 or more")


def instance_norm_leaky_relu_reference(
    x: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    residual: Tensor | None = None,
    eps: float = 1e-5,
    slope: float = 0.01,
) -> Tensor:
    """The definition.

    Args:
        x: (B, C, *S).
        weight: (C,), with ``bias``; without both the norm has no parameters.
        bias: (C,).
        residual: as x, added before the activation.
        eps: added to the variance.
        slope: of the leaky ReLU below 0; 0 is the plain one.

    Returns:
        As x, and of its type; computed in float32 or wider.

    Raises:
        ValueError: sizes do not belong together; fewer than two voxels.
    """
    _check(x, weight, bias, residual, slope)
    dtype = torch.promote_types(x.dtype, torch.float32)
    y = _norm(x.to(dtype), weight, bias, eps)
    if residual is not None:
        y = y + residual.to(dtype)
    return F.leaky_relu(y, slope).to(x.dtype)


def _norm(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    if x.numel() == 0:  # the library's norm refuses empty batches
        y = 1 * x
        return y if weight is None or bias is None else y + 0 * (weight.sum() + bias.sum())
    if weight is not None and bias is not None:
        weight, bias = weight.to(x.dtype), bias.to(x.dtype)
    return F.instance_norm(x, None, None, weight, bias, True, 0.0, eps)


def instance_norm_leaky_relu(
    x: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    residual: Tensor | None = None,
    eps: float = 1e-5,
    slope: float = 0.01,
) -> Tensor:
    """As :func:`instance_norm_leaky_relu_reference`, in less time and memory; differentiable once.

    ``COMMON_KERNELS=eager`` in the environment selects the reference, and so do scripting, tracing and ONNX
    export.
    """
    if torch.jit.is_scripting():
        return instance_norm_leaky_relu_reference(x, weight, bias, residual, eps, slope)
    else:  # the scripting compiler skips this branch only if it is spelt out
        return _dispatch(x, weight, bias, residual, eps, slope)


def _dispatch(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    residual: Tensor | None,
    eps: float,
    slope: float,
) -> Tensor:
    form = "reference" if x.numel() == 0 or exporting() else choose(x, awaits_verdict=True)
    if form == "cpu":
        given = (t for t in (x, weight, bias, residual) if t is not None)
        with_gradients = torch.is_grad_enabled() and any(t.requires_grad for t in given)
        form = "cpu" if x.numel() >= _LARGE[with_gradients] else "reference"
    if form == "reference":
        return instance_norm_leaky_relu_reference(x, weight, bias, residual, eps, slope)
    _check(x, weight, bias, residual, slope)
    return _fused(x, weight, bias, residual, eps, slope)[0]


def _rows(x: Tensor) -> Tensor:
    """(B, C, *S) to contiguous (B * C, V)."""
    return x.reshape(x.size(0) * x.size(1), -1).contiguous()


def _repeated(parameter: Tensor | None, x: Tensor, dtype: torch.dtype) -> Tensor | None:
    """(C,) to (B * C,)."""
    return None if parameter is None else parameter.to(dtype).repeat(x.size(0))


def _each_row(parameter: Tensor | None, x: Tensor, dtype: torch.dtype, missing: float) -> Tensor:
    """(C,) to (B * C,), with a value for a missing parameter."""
    rows = _repeated(parameter, x, dtype)
    return (
        torch.full((x.size(0) * x.size(1),), missing, dtype=dtype, device=x.device) if rows is None else rows
    )


@torch.library.custom_op("method_zoo::instance_norm_leaky_relu", mutates_args=())
def _fused(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None, eps: float, slope: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The output, and each row's mean and 1 / sqrt(variance + eps), (B * C,)."""
    rows = _rows(x)
    V, acc = rows.size(1), torch.promote_types(x.dtype, torch.float32)
    if choose(x, awaits_verdict=True) == "triton":
        from common.kernels import row_moments_triton as kernels

        mean, squares = kernels.moments(rows)
        inverse = (squares / V + eps).rsqrt()
        scale = _each_row(weight, x, acc, 1.0) * inverse
        shift = _each_row(bias, x, acc, 0.0) - mean * scale
        added = None if residual is None else _rows(residual)
        out = kernels.affine(rows, scale, shift, residual=added, slope=slope)
        return out.view(x.shape), mean, inverse
    rows = rows.to(acc)
    mean, squares = row_moments.moments(rows)
    variance = squares.div_(V)
    out = row_moments.affine(
        rows.unsqueeze(0), _repeated(weight, x, acc), _repeated(bias, x, acc), mean, variance, eps
    ).view(x.shape)
    if residual is not None:
        out.add_(residual)
    return F.leaky_relu_(out, slope).to(x.dtype), mean, (variance + eps).rsqrt()


@_fused.register_fake
def _(x, weight, bias, residual, eps, slope):
    row = x.new_empty(x.size(0) * x.size(1), dtype=torch.promote_types(x.dtype, torch.float32))
    return x.new_empty(x.shape), row, torch.empty_like(row)


@torch.library.custom_op("method_zoo::instance_norm_leaky_relu_backward", mutates_args=())
def _fused_backward(
    grad: Tensor,
    x: Tensor,
    out: Tensor,
    weight: Tensor | None,
    mean: Tensor,
    inverse: Tensor,
    slope: float,
    residual: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients by x, weight, bias and residual (empty where there is none)."""
    rows, grad, out = _rows(x), _rows(grad), _rows(out)
    if choose(x, awaits_verdict=True) == "triton":
        from common.kernels import row_moments_triton as kernels

        total, products = kernels.gradient_sums(grad, rows, mean, out=out, slope=slope)
        scale = _each_row(weight, x, mean.dtype, 1.0) * inverse
        voxels = rows.size(1)
        factors = (scale, -scale * inverse**2 * products / voxels, -scale * total / voxels)
        by_x, by_residual = kernels.affine_gradients(
            grad, rows, mean, factors, out=out, slope=slope, residual=residual
        )
        by_weight, by_bias = products * inverse, total
    else:
        # By the sign of the output, which the slope does not change.
        by_residual = torch.ops.aten.leaky_relu_backward(grad.to(mean.dtype), out.to(mean.dtype), slope, True)
        by_x, by_weight, by_bias = torch.ops.aten.native_batch_norm_backward(
            by_residual.unsqueeze(0),
            rows.unsqueeze(0).to(mean.dtype),
            _each_row(weight, x, mean.dtype, 1.0),
            *(None, None, mean, inverse, True, 0.0, [True, True, True]),
        )
        by_x, by_residual = by_x.to(x.dtype), by_residual.to(x.dtype) if residual else None
    by_weight, by_bias = (t.view(x.size(0), x.size(1)).sum(0) for t in (by_weight, by_bias))
    by_residual = x.new_empty(0) if by_residual is None else by_residual.view(x.shape)
    return by_x.view(x.shape), by_weight, by_bias, by_residual


@_fused_backward.register_fake
def _(grad, x, out, weight, mean, inverse, slope, residual):
    channel = mean.new_empty(x.size(1))
    by_residual = x.new_empty(x.shape) if residual else x.new_empty(0)
    return x.new_empty(x.shape), channel, torch.empty_like(channel), by_residual


def _save(ctx, inputs, output) -> None:
    x, weight, _, residual, _, ctx.slope = inputs
    out, mean, inverse = output
    ctx.residual = residual is not None
    ctx.mark_non_differentiable(mean, inverse)
    ctx.save_for_backward(x, out, weight, mean, inverse)


def _backward(ctx, grad: Tensor, *_):
    x, out, weight, mean, inverse = ctx.saved_tensors
    by_x, by_weight, by_bias, by_residual = _fused_backward(
        grad, x, out, weight, mean, inverse, ctx.slope, ctx.residual
    )
    if weight is None:
        return by_x, None, None, by_residual if ctx.residual else None, None, None
    by_weight, by_bias = by_weight.to(weight.dtype), by_bias.to(weight.dtype)
    return by_x, by_weight, by_bias, by_residual if ctx.residual else None, None, None


_fused.register_autograd(_backward, setup_context=_save)
