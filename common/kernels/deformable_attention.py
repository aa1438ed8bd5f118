"""Multi-scale deformable attention, 2D and 3D: every query reads a few points of a feature pyramid.

    out[b, q, m] = sum over l, p of  weights[b, q, m, l, p] * V_l[b, m](locations[b, q, m, l, p])

V_l is (tri)linear interpolation of level l, zero outside, with voxel centres at (i + 0.5) / size.
Source: Zhu et al., Deformable DETR, ICLR 2021, eq. 3; in 3D: Xie et al., CoTr, MICCAI 2021.

Axes: B batch, S tokens of all levels (each level flattened depth-major, last axis fastest), Q queries,
M heads, C channels per head, L levels, P points per head and level, dims 2 or 3.

Three forms: the reference; for the CPU a sparse matrix product (``deformable_attention_sparse``); for CUDA
Triton kernels (``deformable_attention_triton``).  The fast two never hold the C channels of all sampled
points, which is what the reference spends its memory and time on.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from common.kernels import deformable_attention_sparse as sparse
from common.kernels.selection import choose, exporting

__all__ = ["deformable_attention", "deformable_attention_reference"]


def _tokens(shape: list[int]) -> int:
    count = 1  # math.prod cannot be scripted
    for size in shape:
        count *= size
    return count


def _check(value: Tensor, shapes: list[list[int]], locations: Tensor, weights: Tensor) -> None:
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
        ValueError: sizes do not belong together.
    """
    _check(value, shapes, locations, weights)
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


def deformable_attention(
    value: Tensor, shapes: list[list[int]], locations: Tensor, weights: Tensor
) -> Tensor:
    """As :func:`deformable_attention_reference`, in a fraction of its memory and time; differentiable once.

    ``COMMON_KERNELS=eager`` in the environment selects the reference, and so do scripting, tracing and ONNX
    export: the exported file then needs nothing of ours.  Under autocast it computes in float32.  Where
    values are bfloat16 or float16 the sums are float32.  On CUDA the gradient by ``value`` is summed by
    atomics; under ``torch.use_deterministic_algorithms`` by a slower way with a fixed order.
    """
    if torch.jit.is_scripting():
        return deformable_attention_reference(value, shapes, locations, weights)
    else:  # the scripting compiler skips this branch only if it is spelt out
        return _dispatch(value, shapes, locations, weights)


def _dispatch(value: Tensor, shapes: Sequence[Sequence[int]], locations: Tensor, weights: Tensor) -> Tensor:
    shapes = [list(shape) for shape in shapes]
    if exporting() or choose(value) == "reference":
        return deformable_attention_reference(value, shapes, locations, weights)
    _check(value, shapes, locations, weights)
    sizes = [n for shape in shapes for n in shape]  # an operator takes no nested lists
    return _fused(value, sizes, locations, weights)


def _empty_contiguous(value: Tensor, locations: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return (
        value.new_empty(value.shape),
        locations.new_empty(locations.shape),
        weights.new_empty(weights.shape),
    )


@torch.library.custom_op("method_zoo::deformable_attention", mutates_args=())
def _fused(value: Tensor, sizes: Sequence[int], locations: Tensor, weights: Tensor) -> Tensor:
    if choose(value) != "triton":
        return sparse.forward(value, sizes, locations, weights)
    from common.kernels import deformable_attention_triton as kernels

    with torch.cuda.device_of(value):  # Triton launches on the current device
        return kernels.forward(value, sizes, locations, weights)


@_fused.register_fake
def _(value: Tensor, sizes: Sequence[int], locations: Tensor, weights: Tensor) -> Tensor:
    return value.new_empty(locations.size(0), locations.size(1), locations.size(2) * value.size(3))


@torch.library.custom_op("method_zoo::deformable_attention_backward", mutates_args=())
def _fused_backward(
    grad: Tensor, value: Tensor, sizes: Sequence[int], locations: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    if choose(value) != "triton":
        return sparse.backward(grad, value, sizes, locations, weights)
    from common.kernels import deformable_attention_triton as kernels

    repeatable = torch.are_deterministic_algorithms_enabled()
    with torch.cuda.device_of(value):
        by_value, by_location, by_weight = kernels.backward(
            grad, value, sizes, locations, weights, values_by_atomics=not repeatable
        )
    if by_value is None:
        by_value = sparse.values_gradient(grad, value, sizes, locations, weights)
    return by_value, by_location, by_weight


@_fused_backward.register_fake
def _(grad: Tensor, value: Tensor, sizes: Sequence[int], locations: Tensor, weights: Tensor):
    return _empty_contiguous(value, locations, weights)


def _save(ctx, inputs: tuple[Tensor, Sequence[int], Tensor, Tensor], output: Tensor) -> None:
    value, ctx.sizes, locations, weights = inputs
    ctx.save_for_backward(value, locations, weights)


def _backward(ctx, grad: Tensor) -> tuple[Tensor, None, Tensor, Tensor]:
    value, locations, weights = ctx.saved_tensors
    by_value, by_location, by_weight = _fused_backward(grad, value, ctx.sizes, locations, weights)
    return by_value, None, by_location, by_weight


_fused.register_autograd(_backward, setup_context=_save)
for _device in ("cpu", "cuda"):
    _fused.register_autocast(_device, torch.float32)
