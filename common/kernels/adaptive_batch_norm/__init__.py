"""Adaptive batch norm with its alignment loss: the operator, its registration and the choice of its form.

Formula and axes: :mod:`common.kernels.adaptive_batch_norm.reference`, which makes four reductions and the
affine map.  Two faster forms: for the CPU one pair of reductions, from which those over the batch follow, and
a backward pass of two (``cpu``); for CUDA Triton kernels (``triton``).  Whether the kernels beat the compiled
reference has not been measured: until it is, only ``COMMON_KERNELS=triton`` selects them.
"""

from __future__ import annotations

from types import ModuleType

import torch
from torch import Tensor

from common.kernels.adaptive_batch_norm import cpu
from common.kernels.adaptive_batch_norm.reference import adaptive_batch_norm_reference, check
from common.kernels.row_moments import as_rows, for_each_row
from common.kernels.selection import choose, exporting

__all__ = ["adaptive_batch_norm", "adaptive_batch_norm_reference"]


def adaptive_batch_norm(
    z: Tensor,
    source_mean: Tensor,
    source_variance: Tensor,
    weight: Tensor,
    bias: Tensor,
    share: float,
    eps: float = 1e-5,
) -> tuple[Tensor, Tensor]:
    """As :func:`adaptive_batch_norm_reference`, faster; differentiable once, in z, weight and bias.

    ``COMMON_KERNELS=eager`` in the environment selects the reference, and so do scripting, tracing and ONNX
    export.
    """
    if torch.jit.is_scripting():
        return adaptive_batch_norm_reference(z, source_mean, source_variance, weight, bias, share, eps)
    else:  # the scripting compiler skips this branch only if it is spelt out
        return _dispatch(z, source_mean, source_variance, weight, bias, share, eps)


def _dispatch(
    z: Tensor,
    source_mean: Tensor,
    source_variance: Tensor,
    weight: Tensor,
    bias: Tensor,
    share: float,
    eps: float,
) -> tuple[Tensor, Tensor]:
    form = "reference" if exporting() else choose(z, awaits_verdict=True)
    if form == "reference":
        return adaptive_batch_norm_reference(z, source_mean, source_variance, weight, bias, share, eps)
    check(z, [source_mean, source_variance, weight, bias])
    out, loss, *_ = _fused(z, source_mean, source_variance, weight, bias, share, eps)
    return out, loss


def _warmed_up(
    means: Tensor, variances: Tensor, voxels: int, source_mean: Tensor, source_variance: Tensor, share: float
) -> tuple[Tensor, Tensor]:
    """The mean and variance to normalise with, (C,), from those of each sample, (N, C)."""
    samples = means.size(0)
    if samples == 1:
        current, current_variance = means[0], variances[0]
    else:
        current = means.mean(0)
        between = ((means - current) ** 2).sum(0) * voxels
        within = variances.sum(0) * (voxels - 1)
        current_variance = (within + between) / (samples * voxels - 1)
    dtype = means.dtype
    mean = torch.lerp(source_mean.to(dtype), current, share)
    return mean, torch.lerp(source_variance.to(dtype), current_variance, share)


def _loss(by_mean: Tensor, by_deviation: Tensor) -> Tensor:
    """Mean distance of the statistics used from those of each sample, given both differences, (N, C)."""
    total = torch.linalg.vector_norm(by_mean, 1) + torch.linalg.vector_norm(by_deviation, 1)
    return total.div_(by_mean.numel())


def _form(z: Tensor) -> ModuleType:
    """The module whose passes over z this call uses."""
    if choose(z, awaits_verdict=True) != "triton":
        return cpu
    from common.kernels.adaptive_batch_norm import triton

    return triton


@torch.library.custom_op("method_zoo::adaptive_batch_norm", mutates_args=())
def _fused(
    z: Tensor,
    source_mean: Tensor,
    source_variance: Tensor,
    weight: Tensor,
    bias: Tensor,
    share: float,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Output and loss; each sample's means and deviations (N, C); mean and variance used (C,)."""
    N, C = z.shape[:2]
    rows, form = as_rows(z), _form(z)
    means, squares = (t.view(N, C) for t in form.moments(rows))
    variances = squares / (rows.size(1) - 1)
    mean, variance = _warmed_up(means, variances, rows.size(1), source_mean, source_variance, share)
    deviations = variances.sqrt()
    loss = _loss(means - mean, deviations - variance.sqrt())
    out = form.normalised(rows, weight.to(mean.dtype), bias.to(mean.dtype), mean, variance, eps)
    # A view would forbid the in-place ReLU that most networks put after a norm.
    out = torch.ops.aten._unsafe_view.default(out, z.shape)
    return out, loss, means.contiguous(), deviations, mean, variance


@_fused.register_fake
def _(z, source_mean, source_variance, weight, bias, share, eps):
    acc = torch.promote_types(z.dtype, torch.float32)
    of_samples, of_channels = z.new_empty(z.shape[:2], dtype=acc), z.new_empty(z.size(1), dtype=acc)
    loss = z.new_empty((), dtype=acc)
    others = (of_samples, torch.empty_like(of_samples), of_channels, torch.empty_like(of_channels))
    return z.new_empty(z.shape), loss, *others


@torch.library.custom_op("method_zoo::adaptive_batch_norm_backward", mutates_args=())
def _by_input(
    grad: Tensor,
    by_loss: Tensor,
    z: Tensor,
    weight: Tensor,
    means: Tensor,
    deviations: Tensor,
    mean: Tensor,
    variance: Tensor,
    eps: float,
) -> Tensor:
    """Gradient with respect to z: for each row ``a * grad + b * (z - its mean) + c``."""
    N, C = z.shape[:2]
    rows = as_rows(z)
    voxels = rows.size(1)
    by_mean = (means - mean).sign_().mul_(by_loss / (N * C * voxels)).flatten()
    by_deviation = (deviations - variance.sqrt()).sign_().mul_(by_loss / (N * C * (voxels - 1)))
    by_deviation = by_deviation.div_(deviations).masked_fill_(deviations == 0, 0.0).flatten()
    by_rows = _form(z).input_gradient(
        as_rows(grad),
        rows,
        means.flatten(),
        (by_deviation, by_mean),
        weight.to(mean.dtype),
        variance,
        eps,
    )
    return by_rows.view(z.shape)


@_by_input.register_fake
def _(grad, by_loss, z, weight, means, deviations, mean, variance, eps):
    return z.new_empty(z.shape)


@torch.library.custom_op("method_zoo::adaptive_batch_norm_parameters", mutates_args=())
def _by_parameters(
    grad: Tensor, z: Tensor, weight: Tensor, mean: Tensor, variance: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    """Gradients with respect to weight and bias."""
    N, C = z.shape[:2]
    total, products = _form(z).gradient_sums(as_rows(grad), as_rows(z), for_each_row(mean, N))
    by_weight = products.view(N, C).sum(0) * (variance + eps).rsqrt()
    return by_weight.to(weight.dtype), total.view(N, C).sum(0).to(weight.dtype)


@_by_parameters.register_fake
def _(grad, z, weight, mean, variance, eps):
    return weight.new_empty(weight.shape), weight.new_empty(weight.shape)


def _save(ctx, inputs, output) -> None:
    z, _, _, weight, _, _, ctx.eps = inputs
    ctx.mark_non_differentiable(*output[2:])
    ctx.save_for_backward(z, weight, *output[2:])


def _backward(ctx, grad: Tensor, by_loss: Tensor, *_):
    z, weight, means, deviations, mean, variance = ctx.saved_tensors
    by_z, by_weight, by_bias = None, None, None
    if ctx.needs_input_grad[0]:
        by_z = _by_input(grad, by_loss, z, weight, means, deviations, mean, variance, ctx.eps)
    if ctx.needs_input_grad[3] or ctx.needs_input_grad[4]:
        by_weight, by_bias = _by_parameters(grad, z, weight, mean, variance, ctx.eps)
    return by_z, None, None, by_weight, by_bias, None, None


_fused.register_autograd(_backward, setup_context=_save)
