"""Multi-scale deformable attention in plain PyTorch: every query reads a few points of a feature pyramid.

    out[b, q, m] = sum over l, p of  weights[b, q, m, l, p] * V_l[b, m](locations[b, q, m, l, p])

V_l is (tri)linear interpolation of level l, zero outside, with voxel centres at (i + 0.5) / size.
Source: Zhu et al., Deformable DETR, ICLR 2021, eq. 3; in 3D: Xie et al., CoTr, MICCAI 2021.

Axes: B batch, S tokens of all levels (each level flattened depth-major, last axis fastest), Q queries,
M heads, C channels per head, L levels, P points per head and level, dims 2 or 3.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["check", "deformable_attention_reference"]


def _tokens(shape: list[int]) -> int:
    count = 1  # math.prod cannot be scripted
    for size in shape:
        count *= size
    return count


def check(value: Tensor, shapes: list[list[int]], locations: Tensor, weights: Tensor) -> None:
    """Raises ValueError unless the shapes match; arguments as below."""
    if value.dim() != 4 or locations.dim() != 6:
        raise ValueError(
            f"deformable_attention: value has shape {value.shape}, locations {locations.shape}; "
            "expected (B, S, M, C) and (B, Q, M, L, P, dims)"
        )
    dims = locations.size(5)
    tokens = 0
    for shape in shapes:
        tokens += _tokens(shape)
        if len(shape) != dims or dims not in (2, 3):
            raise ValueError(
                f"deformable_attention: a level has shape {shape}, locations have {dims} coordinates; "
                "expected (D, H, W) and 3, or (H, W) and 2"
            )
    if value.size(1) != tokens:
        raise ValueError(
            f"deformable_attention: value has S={value.size(1)} tokens; the levels {shapes} have {tokens}"
        )
    expected = [value.size(0), locations.size(1), value.size(2), len(shapes), locations.size(4)]
    if list(locations.shape)[:5] != expected or list(weights.shape) != expected:
        raise ValueError(
            f"deformable_attention: locations have shape {locations.shape}, weights {weights.shape}; "
            f"value and levels ask for (B, Q, M, L, P) = {expected}, then {dims} for locations"
        )


def deformable_attention_reference(
    value: Tensor, shapes: list[list[int]], locations: Tensor, weights: Tensor
) -> Tensor:
    """The definition: sample every level with ``grid_sample``, stack, weight, sum.  Can be scripted.

    Args:
        value: (B, S, M, C), the projected tokens.
        shapes: size of each level, (D, H, W) or (H, W), finest first as in ``value``.
        locations: (B, Q, M, L, P, dims), in [0, 1] over the whole level (outside counts as zero); component
            0 moves along the LAST axis (width), 1 along height, 2 along depth.
        weights: (B, Q, M, L, P), usually a softmax over the L*P points.

    Returns:
        (B, Q, M*C), of the type of ``value``; computed in float32 or wider.

    Raises:
        ValueError: the shapes do not match.
    """
    check(value, shapes, locations, weights)
    B, _, M, C = value.shape
    Q, L, P, dims = locations.size(1), locations.size(3), locations.size(4), locations.size(5)
    if B * Q == 0:  # grid_sample refuses empty batches
        return value.new_zeros(B, Q, M * C) + 0 * (value.sum() + locations.sum() + weights.sum())
    dtype = torch.promote_types(value.dtype, torch.float32)
    grid = (2 * locations.to(dtype) - 1).transpose(1, 2).reshape(B * M, Q, L, P, dims)
    samples: list[Tensor] = []
    start = 0
    for level, shape in enumerate(shapes):
        stop = start + _tokens(shape)
        image = value[:, start:stop].to(dtype).permute(0, 2, 3, 1).reshape([B * M, C] + shape)
        start = stop
        points = grid[:, :, level] if dims == 2 else grid[:, :, level].unsqueeze(3)
        sampled = F.grid_sample(image, points, mode="bilinear", padding_mode="zeros", align_corners=False)
        samples.append(sampled.reshape(B * M, C, Q, P))
    stacked = torch.stack(samples, dim=3).flatten(3)  # (B*M, C, Q, L*P)
    attention = weights.to(dtype).transpose(1, 2).reshape(B * M, 1, Q, L * P)
    out = (stacked * attention).sum(3).reshape(B, M * C, Q)
    return out.transpose(1, 2).to(value.dtype)
