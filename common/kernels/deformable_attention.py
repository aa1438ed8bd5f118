"""Multi-scale deformable attention, 2D and 3D: every query reads a few points of a feature pyramid.

    out[b, q, m] = sum over l, p of  weights[b, q, m, l, p] * V_l[b, m](locations[b, q, m, l, p])

V_l is (tri)linear interpolation of level l, zero outside, with voxel centres at (i + 0.5) / size.
Source: Zhu et al., Deformable DETR, ICLR 2021, eq. 3; in 3D: Xie et al., CoTr, MICCAI 2021.

Axes: B batch, S tokens of all levels (each level flattened depth-major, last axis fastest), Q queries,
M heads, C channels per head, L levels, P points per head and level, dims 2 or 3, and K = 2**dims
corners of the cell around a point.

The direct path keeps the C channels of every sampled point in memory.  The fused path never does:
interpolation and attention together are one sparse matrix per head, Q rows of L*P*K entries,

    entry = attention weight * interpolation weight,    column = token of the corner,

and ``embedding_bag`` multiplies it with the values without writing an intermediate.  Transposed (its
entries sorted by column) it gives the gradient of the values; the gradient of its entries gives those of
the weights and locations.  The backward pass builds the matrix again instead of keeping it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["deformable_attention", "deformable_attention_reference"]

# Points (queries * heads * levels * points) that are handled at once.  Temporary memory is about 0.3 KB a
# point in 3D.  Below this size elementwise operations use one thread only; far above it they leave the cache.
_BLOCK_POINTS = 1 << 15


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
    export: the exported file then needs nothing of ours.  Under autocast it computes in float32.
    """
    if torch.jit.is_scripting():
        return deformable_attention_reference(value, shapes, locations, weights)
    else:  # the scripting compiler skips this branch only if it is spelt out
        return _dispatch(value, shapes, locations, weights)


def _dispatch(value: Tensor, shapes: Sequence[Sequence[int]], locations: Tensor, weights: Tensor) -> Tensor:
    shapes = [list(shape) for shape in shapes]
    exporting = torch.jit.is_tracing() or torch.onnx.is_in_onnx_export()
    if exporting or os.environ.get("COMMON_KERNELS") == "eager":
        return deformable_attention_reference(value, shapes, locations, weights)
    _check(value, shapes, locations, weights)
    sizes = [n for shape in shapes for n in shape]  # an operator takes no nested lists
    return _fused(value, sizes, locations, weights)


def _head_blocks(value: Tensor, locations: Tensor) -> Iterator[tuple[int, slice, Tensor, list[slice]]]:
    """Pieces of about ``_BLOCK_POINTS`` points: (sample, heads, value table (S * heads, C), queries)."""
    B, Q, M, L, P, _ = locations.shape
    heads = min(M, max(1, _BLOCK_POINTS // max(1, Q * L * P)))
    queries = max(1, _BLOCK_POINTS // (heads * L * P))
    dtype = torch.promote_types(value.dtype, torch.float32)
    for b in range(B):
        for m in range(0, M, heads):
            table = value[b, :, m : m + heads].reshape(-1, value.size(3)).to(dtype)
            yield b, slice(m, m + heads), table, [slice(q, q + queries) for q in range(0, Q, queries)]


class _Matrix:
    """The sparse matrix of one block, with a row for each of its N (query, head) pairs.

    Its tensors end in (L, P, N), with the long axis last: elementwise work runs along it.

    Attributes:
        columns, entries: (K, L, P, N) as 2, ..., 2, L, P, N; columns count the value table's rows (int32).
        attention: (L, P, N), the weights.
        sides, slopes: for each coordinate the corners' interpolation weights, and their derivatives.
    """

    def __init__(self, locations: Tensor, weights: Tensor, sizes: Sequence[int]) -> None:
        queries, heads, L, P, dims = locations.shape
        N = queries * heads
        points = locations.reshape(N, L * P * dims).t().contiguous().view(L, P, dims, N)
        self.attention = weights.reshape(N, L * P).t().contiguous().view(L, P, N)
        # One column of sizes per coordinate; the first coordinate belongs to the last axis.
        level_sizes = torch.tensor(sizes, dtype=torch.int32, device=locations.device).view(L, dims).flip(1)
        tokens = level_sizes.prod(1, dtype=torch.int32)
        level_start = (tokens.cumsum(0, dtype=torch.int32) - tokens) * heads
        head = torch.arange(heads, dtype=torch.int32, device=locations.device).repeat(queries)
        self.columns = (level_start.view(L, 1, 1) + head).expand(L, P, N)
        self.entries = self.attention
        self.sides, self.slopes = [], []
        stride = torch.full_like(tokens, heads).view(L, 1, 1)
        for coordinate in range(dims):
            size = level_sizes[:, coordinate].view(L, 1, 1)
            index, side, slope = _corners(points[:, :, coordinate], size)
            outer = (2,) + (1,) * coordinate + (L, P, N)
            self.columns = self.columns + (index * stride).view(outer)
            self.entries = self.entries * side.view(outer)
            self.sides.append(side)
            self.slopes.append(slope)
            stride = stride * size

    def by_row(self, laid_out: Tensor) -> Tensor:
        """(..., N) to (N, ...) with the axes before N flattened."""
        return laid_out.reshape(-1, self.attention.size(2)).t().contiguous()

    def gradients(self, grad: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients by locations, (N, L*P*dims), and by weights, (N, L*P), from ``grad`` (N, C)."""
        row = torch.arange(grad.size(0), dtype=torch.int32, device=grad.device)
        row = row.repeat(self.columns.numel() // grad.size(0))
        by_corner = torch.ops.aten._embedding_bag_per_sample_weights_backward(
            grad, table, self.columns.view(-1), row[:0], row, 0
        ).view(self.columns.shape)
        by_location: list[Tensor] = []
        for side, slope in zip(reversed(self.sides), reversed(self.slopes), strict=True):
            by_location = [_contract(part, side) for part in by_location]
            by_location.insert(0, _contract(by_corner, slope))
            by_corner = _contract(by_corner, side)
        at_location = torch.stack(by_location, dim=2) * self.attention.unsqueeze(2)
        return self.by_row(at_location), self.by_row(by_corner)


def _corners(location: Tensor, size: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Index, weight and slope, (2, L, P, N), of the two voxels around a location along one axis."""
    # Two voxels outside is as far as any: no corner is inside, and the integers below cannot overflow.
    x = (location * size - 0.5).clamp_(min=-2).minimum(size + 1)
    lower = x.floor()
    upper_weight = x - lower
    index = torch.stack([lower, lower + 1])
    slope = ((index >= 0) & (index < size)).to(x.dtype)  # so far: 1 inside, 0 outside
    side = torch.stack([1 - upper_weight, upper_weight]).mul_(slope)
    slope[0].neg_()
    index = index.to(torch.int32).clamp_(min=0).minimum(size - 1)
    return index, side, slope.mul_(size)


def _contract(pair: Tensor, factor: Tensor) -> Tensor:
    return torch.addcmul(pair[0] * factor[0], pair[1], factor[1])


def _values_gradient(columns: Tensor, entries: Tensor, grad: Tensor, tokens: int) -> Tensor:
    """Transposed matrix times ``grad`` (N, C): (tokens, C).  Sorted by column, it is such a product too."""
    columns, order = columns.sort()
    entries = entries[order]
    rows = order.remainder_(grad.size(0)).int()  # the row is the fastest axis of (K, L, P, N)
    token = torch.arange(tokens, dtype=torch.int32, device=grad.device)
    first = torch.searchsorted(columns, token, out_int32=True)
    return F.embedding_bag(rows, grad, first, mode="sum", per_sample_weights=entries)


def _empty_contiguous(value: Tensor, locations: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return (
        value.new_empty(value.shape),
        locations.new_empty(locations.shape),
        weights.new_empty(weights.shape),
    )


@torch.library.custom_op("method_zoo::deformable_attention", mutates_args=())
def _fused(value: Tensor, sizes: Sequence[int], locations: Tensor, weights: Tensor) -> Tensor:
    B, Q, M = locations.shape[:3]
    out = value.new_empty(B, Q, M, value.size(3))
    for b, heads, table, blocks in _head_blocks(value, locations):
        for queries in blocks:
            block = (b, queries, heads)
            matrix = _Matrix(locations[block].to(table.dtype), weights[block].to(table.dtype), sizes)
            columns, entries = matrix.by_row(matrix.columns), matrix.by_row(matrix.entries)
            del matrix  # half of the block's memory
            product = F.embedding_bag(columns, table, mode="sum", per_sample_weights=entries)
            out[block] = product.view(out[block].shape).to(out.dtype)
    return out.flatten(2)


@_fused.register_fake
def _(value: Tensor, sizes: Sequence[int], locations: Tensor, weights: Tensor) -> Tensor:
    return value.new_empty(locations.size(0), locations.size(1), locations.size(2) * value.size(3))


@torch.library.custom_op("method_zoo::deformable_attention_backward", mutates_args=())
def _fused_backward(
    grad: Tensor, value: Tensor, sizes: Sequence[int], locations: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    by_value, by_location, by_weight = _empty_contiguous(value, locations, weights)
    grad = grad.unflatten(2, (value.size(2), value.size(3)))
    for b, heads, table, blocks in _head_blocks(value, locations):
        by_table = torch.zeros_like(table)
        for queries in blocks:
            block = (b, queries, heads)
            matrix = _Matrix(locations[block].to(table.dtype), weights[block].to(table.dtype), sizes)
            columns, entries = matrix.columns.view(-1), matrix.entries.view(-1)
            out = grad[block].reshape(-1, value.size(3)).to(table.dtype)
            at_location, at_weight = matrix.gradients(out, table)
            del matrix  # the sort needs its memory
            by_location[block] = at_location.view(by_location[block].shape).to(locations.dtype)
            by_weight[block] = at_weight.view(by_weight[block].shape).to(weights.dtype)
            by_table += _values_gradient(columns, entries, out, table.size(0))
        by_value[b, :, heads] = by_table.view(by_value[b, :, heads].shape).to(value.dtype)
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
