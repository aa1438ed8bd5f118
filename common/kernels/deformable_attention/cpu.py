"""Deformable attention for the CPU, as a sparse matrix product.

The axes are those of :mod:`common.kernels.deformable_attention.reference`, and K = 2**dims corners of the
cell around a point.

The direct path keeps the C channels of every sampled point in memory.  This one never does:
interpolation and attention together are one sparse matrix per head, Q rows of L*P*K entries,

    entry = attention weight * interpolation weight,    column = token of the corner,

and ``embedding_bag`` multiplies it with the values without writing an intermediate.  Transposed (its
entries sorted by column) it gives the gradient of the values; the gradient of its entries gives those of
the weights and locations.  The backward pass builds the matrix again instead of keeping it.

Every sum has a fixed order: the same inputs give the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["backward", "forward", "values_gradient"]

# Points (queries * heads * levels * points) handled at once.  Temporary memory is about 0.3 KB a
# point in 3D.  Below this size elementwise operations use one thread only; far above it they leave the cache.
_BLOCK_POINTS = 1 << 15


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
        """From ``grad`` (N, C), gradients with respect to locations, (N, L*P*dims), and weights, (N, L*P)."""
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
    # Clamped to two voxels outside, where no corner is inside: the integers below then cannot overflow.
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
    """Transposed matrix times ``grad`` (N, C): (tokens, C).  Sorted by column, it is such a product."""
    columns, order = columns.sort(stable=True)
    entries = entries[order]
    rows = order.remainder_(grad.size(0)).int()  # the row is the fastest axis of (K, L, P, N)
    token = torch.arange(tokens, dtype=torch.int32, device=grad.device)
    first = torch.searchsorted(columns, token, out_int32=True)
    return F.embedding_bag(rows, grad, first, mode="sum", per_sample_weights=entries)


def forward(value: Tensor, sizes: Sequence[int], locations: Tensor, weights: Tensor) -> Tensor:
    """(B, Q, M * C) of the type of ``value``; sizes of all levels in one list."""
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


def backward(
    grad: Tensor, value: Tensor, sizes: Sequence[int], locations: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients with respect to values, locations and weights, from ``grad`` (B, Q, M * C)."""
    by_location, by_weight = locations.new_empty(locations.shape), weights.new_empty(weights.shape)
    by_value = _gradients(grad, value, sizes, locations, weights, (by_location, by_weight))
    return by_value, by_location, by_weight


def values_gradient(
    grad: Tensor, value: Tensor, sizes: Sequence[int], locations: Tensor, weights: Tensor
) -> Tensor:
    """The gradient with respect to values alone."""
    return _gradients(grad, value, sizes, locations, weights, None)


def _gradients(
    grad: Tensor,
    value: Tensor,
    sizes: Sequence[int],
    locations: Tensor,
    weights: Tensor,
    others: tuple[Tensor, Tensor] | None,
) -> Tensor:
    """The gradient with respect to values; those for locations and weights are written into ``others``."""
    by_value = value.new_empty(value.shape)
    grad = grad.unflatten(2, (value.size(2), value.size(3)))
    for b, heads, table, blocks in _head_blocks(value, locations):
        by_table = torch.zeros_like(table)
        for queries in blocks:
            block = (b, queries, heads)
            matrix = _Matrix(locations[block].to(table.dtype), weights[block].to(table.dtype), sizes)
            columns, entries = matrix.columns.view(-1), matrix.entries.view(-1)
            out = grad[block].reshape(-1, value.size(3)).to(table.dtype)
            if others is not None:
                for target, found in zip(others, matrix.gradients(out, table), strict=True):
                    target[block] = found.view(target[block].shape).to(target.dtype)
            del matrix  # the sort needs its memory
            by_table += _values_gradient(columns, entries, out, table.size(0))
        by_value[b, :, heads] = by_table.view(by_value[b, :, heads].shape).to(value.dtype)
    return by_value
