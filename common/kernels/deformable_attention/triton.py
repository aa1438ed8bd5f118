"""Triton kernels of deformable attention, forward and backward.

The axes are those of :mod:`common.kernels.deformable_attention.reference`.

A program owns a few rows, a row being one (sample, query, head) triple, and all C channels of them.  It walks
over levels, points and corners; the samples are weighted and summed in registers, so nothing of size
queries x points x channels is ever in memory.  Sums are float32, or float64 where the values are.

The sizes of the levels are constants of the compiled kernel: a new pyramid is compiled anew (seconds, once;
then it comes from Triton's cache).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

__all__ = ["backward", "forward"]

# Values that a program holds of one corner, rows x channels; it has 128 threads.  Larger tiles spill: these
# compile for compute capability 9.0 to 88 and 72 registers a thread at CoTr's width.
_FORWARD_TILE, _BACKWARD_TILE = 1024, 512


@triton.jit
def _axis(location, size):
    """Along one axis: lower voxel (integer), weight of the upper one, and whether each lies inside."""
    # Clamped to two voxels outside, so that the integer cannot overflow.
    x = tl.minimum(tl.maximum(location * size - 0.5, -2.0), size + 1.0)
    lower = tl.floor(x)
    index = lower.to(tl.int32)
    return index, x - lower, (index >= 0) & (index < size), (index >= -1) & (index < size - 1)


@triton.jit
def _side(upper: tl.constexpr, weight, in_lower, in_upper):
    """Interpolation weight of a corner along one axis, zero outside, and its derivative along it."""
    one = (in_upper if upper else in_lower).to(weight.dtype)
    return (weight if upper else 1.0 - weight) * one, one if upper else -one


@triton.jit
def _forward_kernel(
    value, locations, weights, out, rows, Q, S,
    M: tl.constexpr, C: tl.constexpr, P: tl.constexpr, DIMS: tl.constexpr, SIZES: tl.constexpr,
    LEVELS: tl.constexpr, ACC: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    live, in_c = row < rows, c < C
    sample, head = row // (Q * M), row % M
    token0 = sample * S  # of the level's first token, over all samples
    acc = tl.zeros([ROWS, CHANNELS], ACC)
    for level in tl.static_range(LEVELS):
        depth = SIZES[3 * level]
        height = SIZES[3 * level + 1]
        width = SIZES[3 * level + 2]
        for p in range(P):
            point = (row * LEVELS + level) * P + p
            attention = tl.load(weights + point, live, 0.0).to(ACC)
            x, wx, x0, x1 = _axis(tl.load(locations + point * DIMS, live, 0.0).to(ACC), width)
            y, wy, y0, y1 = _axis(tl.load(locations + point * DIMS + 1, live, 0.0).to(ACC), height)
            if DIMS == 3:
                z, wz, z0, z1 = _axis(tl.load(locations + point * DIMS + 2, live, 0.0).to(ACC), depth)
            for corner in tl.static_range(1 << DIMS):
                side_x, _ = _side(corner & 1, wx, x0, x1)
                side_y, _ = _side((corner >> 1) & 1, wy, y0, y1)
                inside = (x1 if corner & 1 else x0) & (y1 if (corner >> 1) & 1 else y0) & live
                entry = attention * side_x * side_y
                token = (y + ((corner >> 1) & 1)) * width + x + (corner & 1)
                if DIMS == 3:
                    side_z, _ = _side((corner >> 2) & 1, wz, z0, z1)
                    inside = inside & (z1 if (corner >> 2) & 1 else z0)
                    entry = entry * side_z
                    token += (z + ((corner >> 2) & 1)) * (height * width)
                place = ((token0 + token) * M + head) * C
                at = place[:, None] + c[None, :]
                corner_value = tl.load(value + at, inside[:, None] & in_c[None, :], 0.0)
                acc += entry[:, None] * corner_value.to(ACC)
        token0 += depth * height * width
    tl.store(out + row[:, None] * C + c[None, :], acc, live[:, None] & in_c[None, :])


@triton.jit
def _backward_kernel(
    grad, value, locations, weights, by_value, by_location, by_weight, rows, Q, S,
    M: tl.constexpr, C: tl.constexpr, P: tl.constexpr, DIMS: tl.constexpr, SIZES: tl.constexpr,
    LEVELS: tl.constexpr, ACC: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr,
    ATOMICS: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    c = tl.arange(0, CHANNELS)
    live, in_c = row < rows, c < C
    sample, head = row // (Q * M), row % M
    token0 = sample * S
    by_out = tl.load(grad + row[:, None] * C + c[None, :], live[:, None] & in_c[None, :], 0.0).to(ACC)
    for level in tl.static_range(LEVELS):
        depth = SIZES[3 * level]
        height = SIZES[3 * level + 1]
        width = SIZES[3 * level + 2]
        for p in range(P):
            point = (row * LEVELS + level) * P + p
            attention = tl.load(weights + point, live, 0.0).to(ACC)
            x, wx, x0, x1 = _axis(tl.load(locations + point * DIMS, live, 0.0).to(ACC), width)
            y, wy, y0, y1 = _axis(tl.load(locations + point * DIMS + 1, live, 0.0).to(ACC), height)
            if DIMS == 3:
                z, wz, z0, z1 = _axis(tl.load(locations + point * DIMS + 2, live, 0.0).to(ACC), depth)
            by_attention = tl.zeros([ROWS], ACC)
            by_x = tl.zeros([ROWS], ACC)
            by_y = tl.zeros([ROWS], ACC)
            by_z = tl.zeros([ROWS], ACC)
            for corner in tl.static_range(1 << DIMS):
                side_x, slope_x = _side(corner & 1, wx, x0, x1)
                side_y, slope_y = _side((corner >> 1) & 1, wy, y0, y1)
                inside = (x1 if corner & 1 else x0) & (y1 if (corner >> 1) & 1 else y0) & live
                token = (y + ((corner >> 1) & 1)) * width + x + (corner & 1)
                side_z = 1.0
                slope_z = 0.0
                if DIMS == 3:
                    side_z, slope_z = _side((corner >> 2) & 1, wz, z0, z1)
                    inside = inside & (z1 if (corner >> 2) & 1 else z0)
                    token += (z + ((corner >> 2) & 1)) * (height * width)
                place = ((token0 + token) * M + head) * C
                at = place[:, None] + c[None, :]
                known = inside[:, None] & in_c[None, :]
                corner_value = tl.load(value + at, known, 0.0).to(ACC)
                dot = tl.sum(by_out * corner_value, axis=1)
                by_attention += side_x * side_y * side_z * dot
                by_x += slope_x * side_y * side_z * dot
                by_y += side_x * slope_y * side_z * dot
                by_z += side_x * side_y * slope_z * dot
                if ATOMICS:
                    entry = attention * side_x * side_y * side_z
                    tl.atomic_add(by_value + at, entry[:, None] * by_out, known, sem="relaxed")
            tl.store(by_weight + point, by_attention, live)
            tl.store(by_location + point * DIMS, attention * by_x * width, live)
            tl.store(by_location + point * DIMS + 1, attention * by_y * height, live)
            if DIMS == 3:
                tl.store(by_location + point * DIMS + 2, attention * by_z * depth, live)
        token0 += depth * height * width


def _settings(value: Tensor, locations: Tensor, sizes: Sequence[int], *, backward: bool) -> dict:
    """Compile-time arguments: a 2D level is one voxel deep; ``ROWS * CHANNELS`` fill a program."""
    L, P, dims = locations.shape[3:]
    C, tile = value.size(3), _BACKWARD_TILE if backward else _FORWARD_TILE
    levels = [[1] * (3 - dims) + list(sizes[dims * level : dims * (level + 1)]) for level in range(L)]
    channels = triton.next_power_of_2(C)
    if not backward:  # there the products with the gradient are summed over all channels
        channels = min(channels, 128)
    return {
        "M": value.size(2),
        "C": C,
        "P": P,
        "DIMS": dims,
        "SIZES": tuple(n for level in levels for n in level),
        "LEVELS": L,
        "ACC": tl.float64 if value.dtype == torch.float64 else tl.float32,
        "ROWS": max(1, min(128, tile // channels)),
        "CHANNELS": channels,
    }


def forward(value: Tensor, sizes: Sequence[int], locations: Tensor, weights: Tensor) -> Tensor:
    """(B, Q, M * C) of the type of ``value``."""
    B, Q, M = locations.shape[:3]
    out = value.new_empty(B, Q, M * value.size(3))
    rows = B * Q * M
    if out.numel() == 0:
        return out
    settings = _settings(value, locations, sizes, backward=False)
    grid = (triton.cdiv(rows, settings["ROWS"]), triton.cdiv(value.size(3), settings["CHANNELS"]))
    _forward_kernel[grid](
        value.contiguous(), locations.contiguous(), weights.contiguous(), out, rows, Q, value.size(1),
        **settings,
    )  # fmt: skip
    return out


def backward(
    grad: Tensor,
    value: Tensor,
    sizes: Sequence[int],
    locations: Tensor,
    weights: Tensor,
    *,
    values_by_atomics: bool = True,
) -> tuple[Tensor | None, Tensor, Tensor]:
    """Gradients with respect to values (None unless ``values_by_atomics``), locations and weights.

    Atomics add in whatever order the programs run: the gradient with respect to values then differs from
    call to call in its last bits.
    """
    rows = math.prod(locations.shape[:3])
    acc = torch.promote_types(value.dtype, torch.float32)
    by_value = torch.zeros(value.shape, dtype=acc, device=value.device) if values_by_atomics else None
    by_location = torch.empty_like(locations, memory_format=torch.contiguous_format)
    by_weight = torch.empty_like(weights, memory_format=torch.contiguous_format)
    if rows:
        settings = _settings(value, locations, sizes, backward=True)
        value = value.contiguous()
        _backward_kernel[(triton.cdiv(rows, settings["ROWS"]),)](
            grad.contiguous(), value, locations.contiguous(), weights.contiguous(),
            value if by_value is None else by_value, by_location, by_weight, rows, locations.size(1),
            value.size(1), ATOMICS=values_by_atomics, **settings,
        )  # fmt: skip
    return None if by_value is None else by_value.to(value.dtype), by_location, by_weight
