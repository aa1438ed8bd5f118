"""Adaptive batch norm with its alignment loss: statistics between source and current, and their distance.

    mean_w = share * mean_current + (1 - share) * mean_source,  likewise the variance
    output = weight * (z - mean_w) / sqrt(var_w + eps) + bias
    loss   = mean over n, c of |mean_w - mean(z_nc)|  +  mean over n, c of |sqrt(var_w) - std(z_nc)|

The current statistics are those over batch and voxels and carry no gradient; those of the loss are of each
sample's channel and do.  Variances and standard deviations are unbiased.
Source: Chen et al., VPTTA, CVPR 2024, eq. 5-7 (card vptta, Adaptive BN).

Axes: N batch, C channels, *S spatial, (H, W) or (D, H, W), V voxels in all.

Three forms: the reference, with four reductions and the affine map; for the CPU one pair of reductions, from
which those over the batch follow, and a backward pass of two; for CUDA Triton kernels, two passes over z
forward and two backward (``row_moments_triton``).  Whether these beat the compiled reference has not been
measured: until it is, only ``COMMON_KERNELS=triton`` selects them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from common.kernels import row_moments
from common.kernels.selection import choose, exporting

__all__ = ["adaptive_batch_norm", "adaptive_batch_norm_reference"]


def _check(z: Tensor, of_channels: list[Tensor]) -> None:
    if z.dim() < 3 or z.size(0) == 0 or z[0, 0].numel() < 2:
        raise ValueError(
            f"adaptive_batch_norm: z has shape {list(z.shape)}; expected (N, C, *S) with a sample and two "
            "voxels or more, since its standard deviations are unbiased"
        )
    for tensor in of_channels:
        if list(tensor.shape) != [z.size(1)]:
            raise ValueError(
                f"adaptive_batch_norm: a statistic or parameter has shape {list(tensor.shape)}; "
                f"expected [{z.size(1)}], the channels of z"
            )


def adaptive_batch_norm_reference(
    z: Tensor,
    source_mean: Tensor,
    source_variance: Tensor,
    weight: Tensor,
    bias: Tensor,
    share: float,
    eps: float = 1e-5,
) -> tuple[Tensor, Tensor]:
    """The definition.

    Args:
        z: (N, C, *S), the input.
        source_mean: (C,), the running mean of the source model.
        source_variance: (C,), its running variance.
        weight: (C,).
        bias: (C,).
        share: of the current statistics, in [0, 1]; 1 / (sqrt(images) / tau + 1) in VPTTA.
        eps: added to the variance.

    Returns:
        Output as z, and the scalar loss; both computed in float32 or wider.

    Raises:
        ValueError: sizes do not belong together; no sample; fewer than two voxels.
    """
    _check(z, [source_mean, source_variance, weight, bias])
    dtype = torch.promote_types(z.dtype, torch.float32)
    x = z.to(dtype).flatten(2)
    current_variance, current_mean = torch.var_mean(x.detach(), dim=[0, 2])
    mean = share * current_mean + (1 - share) * source_mean
    variance = share * current_variance + (1 - share) * source_variance
    loss = (mean - x.mean(2)).abs().mean() + (variance.sqrt() - x.std(2)).abs().mean()
    scale = weight / (variance + eps).sqrt()
    out = (x - mean.unsqueeze(1)) * scale.unsqueeze(1) + bias.unsqueeze(1)
    return out.reshape(z.shape).to(z.dtype), loss


def adaptive_batch_norm(
    z: Tensor,
    source_mean: Tensor,
    source_variance: Tensor,
    weight: Tensor,
    bias: Tensor,
    share: float,
    eps: float = 1e-5,
) -> tuple[Tensor, Tensor]:
    """As :func:`adaptive_batch_norm_reference`, faster; differentiable once, by z, weight and bias.

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
    _check(z, [source_mean, source_variance, weight, bias])
    out, loss, *_ = _fused(z, source_mean, source_variance, weight, bias, share, eps)
    return out, loss


def _warmed_up(
    means: Tensor, variances: Tensor, voxels: int, source_mean: Tensor, source_variance: Tensor, share: float
) -> tuple[Tensor, Tensor]:
    """Mean and variance to normalise with, (C,), from those of each sample, (N, C)."""
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
    rows = z.reshape(N * C, -1).contiguous()
    triton = choose(z, awaits_verdict=True) == "triton"
    moments = _triton().moments if triton else row_moments.moments
    means, squares = (t.view(N, C) for t in moments(rows))
    variances = squares / (rows.size(1) - 1)
    mean, variance = _warmed_up(means, variances, rows.size(1), source_mean, source_variance, share)
    deviations = variances.sqrt()
    loss = _loss(means - mean, deviations - variance.sqrt())
    weight, bias = weight.to(mean.dtype), bias.to(mean.dtype)
    if triton:
        scale = weight * (variance + eps).rsqrt()
        shift = bias - mean * scale
        out = _triton().affine(rows, scale.repeat(N), shift.repeat(N))
    else:
        out = row_moments.affine(rows.view(N, C, -1), weight, bias, mean, variance, eps)
    # A view would forbid a ReLU in place, which most networks put behind a norm.
    out = torch.ops.aten._unsafe_view.default(out, z.shape)
    return out, loss, means.contiguous(), deviations, mean, variance


def _triton():
    from common.kernels import row_moments_triton

    return row_moments_triton


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
    """Gradient by z: of each row ``a * grad + b * (z - its mean) + c``."""
    N, C = z.shape[:2]
    rows, grad = z.reshape(N * C, -1).contiguous(), grad.reshape(N * C, -1).contiguous()
    voxels = rows.size(1)
    by_mean = (means - mean).sign_().mul_(by_loss / (N * C * voxels)).flatten()
    by_deviation = (deviations - variance.sqrt()).sign_().mul_(by_loss / (N * C * (voxels - 1)))
    by_deviation = by_deviation.div_(deviations).masked_fill_(deviations == 0, 0.0).flatten()
    weight, centre = weight.to(mean.dtype), means.flatten()
    if choose(z, awaits_verdict=True) == "triton":
        of_grad = (weight * (variance + eps).rsqrt()).repeat(N)
        factors = (of_grad, by_deviation, by_mean)
        return _triton().affine_gradients(grad, rows, centre, factors)[0].view(z.shape)
    if N > 1:
        weight, variance = weight.repeat(N), variance.repeat(N)
    constant = torch.addcmul(by_mean, by_deviation, centre, value=-1)
    by_z = row_moments.affine(
        grad.unsqueeze(0).to(mean.dtype), weight, constant, torch.zeros_like(centre), variance, eps
    )
    return by_z[0].addcmul_(rows, by_deviation.unsqueeze(1)).to(z.dtype).view(z.shape)


@_by_input.register_fake
def _(grad, by_loss, z, weight, means, deviations, mean, variance, eps):
    return z.new_empty(z.shape)


@torch.library.custom_op("method_zoo::adaptive_batch_norm_parameters", mutates_args=())
def _by_parameters(
    grad: Tensor, z: Tensor, weight: Tensor, mean: Tensor, variance: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    """Gradients by weight and bias."""
    N, C = z.shape[:2]
    rows, grad = z.reshape(N * C, -1).contiguous(), grad.reshape(N * C, -1).contiguous()
    total, products = _gradient_sums(grad, rows, mean.repeat(N))
    by_weight = products.view(N, C).sum(0) * (variance + eps).rsqrt()
    return by_weight.to(weight.dtype), total.view(N, C).sum(0).to(weight.dtype)


def _gradient_sums(grad: Tensor, rows: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
    """Of each row the sums of grad and of ``grad * (rows - centre)``."""
    if choose(rows, awaits_verdict=True) == "triton":
        return _triton().gradient_sums(grad, rows, centre)
    total, products = torch.empty_like(centre), torch.empty_like(centre)
    for block in row_moments.blocks_of_rows(rows):
        wide = grad[block].to(centre.dtype)
        total[block] = wide.sum(1)
        products[block] = ((rows[block] - centre[block].unsqueeze(1)) * wide).sum(1)
    return total, products


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
