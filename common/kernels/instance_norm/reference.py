"""Instance norm, an optional residual, leaky ReLU, in plain PyTorch: the end of most convolution blocks.

    y = leaky_relu(weight * (x - mean) / sqrt(variance + eps) + bias + residual)

Mean and (biased) variance are those of each sample's channel.  Source: Ulyanov et al., 2016; the block is
nnU-Net's (Isensee et al., 2021).

Axes: B batch, C channels, *S spatial, (H, W) or (D, H, W), V voxels in all.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["check", "instance_norm_leaky_relu_reference"]


def check(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None, slope: float
) -> None:
    """Raises ValueError unless the shapes match; arguments as below."""
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
        residual: shaped like x, added before the activation.
        eps: added to the variance.
        slope: slope of the leaky ReLU below 0; 0 makes it a plain ReLU.

    Returns:
        Shaped like x, and of its type; computed in float32 or wider.

    Raises:
        ValueError: the shapes do not match; fewer than two voxels.
    """
    check(x, weight, bias, residual, slope)
    dtype = torch.promote_types(x.dtype, torch.float32)
    y = _norm(x.to(dtype), weight, bias, eps)
    if residual is not None:
        y = y + residual.to(dtype)
    return F.leaky_relu(y, slope).to(x.dtype)


def _norm(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    if x.numel() == 0:  # PyTorch's norm refuses empty batches
        y = 1 * x
        return y if weight is None or bias is None else y + 0 * (weight.sum() + bias.sum())
    if weight is not None and bias is not None:
        weight, bias = weight.to(x.dtype), bias.to(x.dtype)
    return F.instance_norm(x, None, None, weight, bias, True, 0.0, eps)
