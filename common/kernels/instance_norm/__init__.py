"""Instance norm, an optional residual, leaky ReLU: the operator, its registration and the choice of its form.

Formula and axes: :mod:`common.kernels.instance_norm.reference`.  Two faster forms: for large maps on a CPU
(``cpu``), and Triton kernels for CUDA (``triton``).  Whether the kernels beat the compiled reference has not
been measured: until it is, only ``COMMON_KERNELS=triton`` selects them.
"""

from __future__ import annotations

from types import ModuleType

import torch
from torch import Tensor

from common.kernels.instance_norm import cpu
from common.kernels.instance_norm.reference import check, instance_norm_leaky_relu_reference
from common.kernels.selection import choose, exporting

__all__ = ["instance_norm_leaky_relu", "instance_norm_leaky_relu_reference"]

# Number of elements from which the CPU form is the faster one, without and with gradients.
_LARGE = (1 << 17, 400_000)


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
    check(x, weight, bias, residual, slope)
    return _fused(x, weight, bias, residual, eps, slope)[0]


def _form(x: Tensor) -> ModuleType:
    """The module whose ``forward`` and ``backward`` this call uses."""
    if choose(x, awaits_verdict=True) != "triton":
        return cpu
    from common.kernels.instance_norm import triton

    return triton


@torch.library.custom_op("method_zoo::instance_norm_leaky_relu", mutates_args=())
def _fused(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None, eps: float, slope: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The output, and each row's mean and 1 / sqrt(variance + eps), (B * C,)."""
    return _form(x).forward(x, weight, bias, residual, eps, slope)


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
    """Gradients with respect to x, weight, bias and residual (empty where there is none)."""
    by_x, by_weight, by_bias, by_residual = _form(x).backward(
        grad, x, out, weight, mean, inverse, slope, residual
    )
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
