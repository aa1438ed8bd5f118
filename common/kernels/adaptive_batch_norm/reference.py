"""Adaptive batch norm with its alignment loss, in plain PyTorch: statistics between source and current ones.

    mean_w = share * mean_current + (1 - share) * mean_source,  and so the variance
    output = weight * (z - mean_w) / sqrt(var_w + eps) + bias
    loss   = mean over n, c of |mean_w - mean(z_nc)|  +  mean over n, c of |sqrt(var_w) - std(z_nc)|

The current statistics run over batch and voxels and carry no gradient; those in the loss are each sample's
own, per channel, and do.  Variances and standard deviations are unbiased.
Source: Chen et al., VPTTA, CVPR 2024, eq. 5-7 (vptta/docs/method.md#adaptive-bn).

Axes: N batch, C channels, *S spatial, (H, W) or (D, H, W), V voxels in all.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["adaptive_batch_norm_reference", "check"]


def check(z: Tensor, of_channels: list[Tensor]) -> None:
    """Raises ValueError unless z has enough voxels, and each of ``of_channels`` is (C,)."""
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
        share: share of the current statistics, in [0, 1]; 1 / (sqrt(images) / tau + 1) in VPTTA.
        eps: added to the variance.

    Returns:
        The output, shaped like z, and the scalar loss; both computed in float32 or wider.

    Raises:
        ValueError: the shapes do not match; no sample; fewer than two voxels.
    """
    check(z, [source_mean, source_variance, weight, bias])
    dtype = torch.promote_types(z.dtype, torch.float32)
    x = z.to(dtype).flatten(2)
    current_variance, current_mean = torch.var_mean(x.detach(), dim=[0, 2])
    mean = share * current_mean + (1 - share) * source_mean
    variance = share * current_variance + (1 - share) * source_variance
    loss = (mean - x.mean(2)).abs().mean() + (variance.sqrt() - x.std(2)).abs().mean()
    scale = weight / (variance + eps).sqrt()
    out = (x - mean.unsqueeze(1)) * scale.unsqueeze(1) + bias.unsqueeze(1)
    return out.reshape(z.shape).to(z.dtype), loss
