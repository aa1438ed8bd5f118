"""Triton kernels of normalisation: moments of rows, a row-wise affine map, and what its gradient needs.

Tensors are rows (R, V), see :mod:`common.kernels.row_moments`; values per row are (R,), in the accumulation
type.  Rows are few and long, so several programs share one: each sums its chunk, and the
chunks are then joined in a fixed order.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

__all__ = ["accumulation_type", "affine", "affine_gradients", "gradient_sums", "moments"]

_BLOCK, _STEPS = 1024, 8  # voxels per step, and steps per program


@triton.jit
def _moments_kernel(x, parts, V, chunks, ACC: tl.constexpr, BLOCK: tl.constexpr, STEPS: tl.constexpr):
    """Mean and sum of squared deviations of a chunk, summed around its first value: nothing large cancels."""
    program = tl.program_id(0).to(tl.int64)
    row, first = program // chunks, (program % chunks) * STEPS * BLOCK
    pivot = tl.load(x + row * V + first).to(ACC)
    total = tl.zeros([BLOCK], ACC)
    squares = tl.zeros([BLOCK], ACC)
    for step in range(STEPS):
        at = first + step * BLOCK + tl.arange(0, BLOCK)
        live = at < V
        deviation = tl.where(live, tl.load(x + row * V + at, live, 0.0).to(ACC) - pivot, 0.0)
        total += deviation
        squares += deviation * deviation
    count = tl.minimum(V - first, STEPS * BLOCK).to(ACC)
    shift = tl.sum(total) / count
    tl.store(parts + program * 2, pivot + shift)
    tl.store(parts + program * 2 + 1, tl.maximum(tl.sum(squares) - count * shift * shift, 0.0))


@triton.jit
def _affine_kernel(
    x, scale, shift, residual, out, V, blocks, slope,
    ACC: tl.constexpr, RESIDUAL: tl.constexpr, ACTIVATION: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    program = tl.program_id(0).to(tl.int64)
    row, at = program // blocks, (program % blocks) * BLOCK + tl.arange(0, BLOCK)
    live = at < V
    y = tl.load(x + row * V + at, live, 0.0).to(ACC) * tl.load(scale + row) + tl.load(shift + row)
    if RESIDUAL:
        y += tl.load(residual + row * V + at, live, 0.0).to(ACC)
    if ACTIVATION:
        y = tl.where(y > 0, y, y * slope)
    tl.store(out + row * V + at, y, live)


@triton.jit
def _before_activation(grad, out, place, live, slope, ACC: tl.constexpr, ACTIVATION: tl.constexpr):
    """The gradient before the leaky ReLU, whose output has the sign of its input."""
    g = tl.load(grad + place, live, 0.0).to(ACC)
    if ACTIVATION:
        g = tl.where(tl.load(out + place, live, 0.0).to(ACC) > 0, g, g * slope)
    return g


@triton.jit
def _sums_kernel(
    grad, x, out, centre, parts, V, chunks, slope,
    ACC: tl.constexpr, ACTIVATION: tl.constexpr, BLOCK: tl.constexpr, STEPS: tl.constexpr,
):  # fmt: skip
    program = tl.program_id(0).to(tl.int64)
    row, first = program // chunks, (program % chunks) * STEPS * BLOCK
    middle = tl.load(centre + row)
    total = tl.zeros([BLOCK], ACC)
    products = tl.zeros([BLOCK], ACC)
    for step in range(STEPS):
        at = first + step * BLOCK + tl.arange(0, BLOCK)
        live = at < V
        g = _before_activation(grad, out, row * V + at, live, slope, ACC, ACTIVATION)
        total += g
        products += g * (tl.load(x + row * V + at, live, 0.0).to(ACC) - middle)
    tl.store(parts + program * 2, tl.sum(total))
    tl.store(parts + program * 2 + 1, tl.sum(products))


@triton.jit
def _gradients_kernel(
    grad, x, out, centre, of_grad, of_x, constant, by_x, by_residual, V, blocks, slope,
    ACC: tl.constexpr, RESIDUAL: tl.constexpr, ACTIVATION: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    program = tl.program_id(0).to(tl.int64)
    row, at = program // blocks, (program % blocks) * BLOCK + tl.arange(0, BLOCK)
    live = at < V
    g = _before_activation(grad, out, row * V + at, live, slope, ACC, ACTIVATION)
    deviation = tl.load(x + row * V + at, live, 0.0).to(ACC) - tl.load(centre + row)
    by = tl.load(of_grad + row) * g + tl.load(of_x + row) * deviation + tl.load(constant + row)
    tl.store(by_x + row * V + at, by, live)
    if RESIDUAL:
        tl.store(by_residual + row * V + at, g, live)


def accumulation_type(x: Tensor) -> torch.dtype:
    """Float64 for float64, else float32."""
    return torch.promote_types(x.dtype, torch.float32)


def _acc(x: Tensor) -> tl.dtype:
    return tl.float64 if x.dtype == torch.float64 else tl.float32


def _parts(x: Tensor) -> tuple[Tensor, int]:
    """Room for two numbers of each chunk, (R, chunks, 2), and the steps of a chunk."""
    R, V = x.shape
    steps = min(_STEPS, triton.next_power_of_2(triton.cdiv(V, _BLOCK)))
    chunks = triton.cdiv(V, _BLOCK * steps)
    return torch.empty((R, chunks, 2), dtype=accumulation_type(x), device=x.device), steps


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and sum of squared deviations of each row of a contiguous x; V is at least 1."""
    parts, steps = _parts(x)
    (R, V), chunks = x.shape, parts.size(1)
    if R:
        with torch.cuda.device_of(x):  # Triton launches on the current device
            _moments_kernel[(R * chunks,)](x, parts, V, chunks, ACC=_acc(x), BLOCK=_BLOCK, STEPS=steps)
    counts = torch.full((chunks,), _BLOCK * steps, dtype=parts.dtype, device=x.device)
    counts[-1] = V - _BLOCK * steps * (chunks - 1)
    means, squares = parts.unbind(2)
    mean = (means * counts).sum(1) / V
    return mean, (squares + counts * (means - mean.unsqueeze(1)) ** 2).sum(1)


def affine(
    x: Tensor, scale: Tensor, shift: Tensor, *, residual: Tensor | None = None, slope: float | None = None
) -> Tensor:
    """``scale * x + shift (+ residual)``, then a leaky ReLU if a ``slope`` is given."""
    (R, V), out = x.shape, torch.empty_like(x)
    blocks = triton.cdiv(V, _BLOCK)
    if R:
        with torch.cuda.device_of(x):
            _affine_kernel[(R * blocks,)](
                x, scale, shift, x if residual is None else residual, out, V, blocks, slope or 0.0,
                ACC=_acc(x), RESIDUAL=residual is not None, ACTIVATION=slope is not None, BLOCK=_BLOCK,
            )  # fmt: skip
    return out


def gradient_sums(
    grad: Tensor, x: Tensor, centre: Tensor, *, out: Tensor | None = None, slope: float = 0.0
) -> tuple[Tensor, Tensor]:
    """For each row the sums of g and of ``g * (x - centre)``.

    g is the gradient before the leaky ReLU: ``grad``, times ``slope`` where ``out`` is not positive.
    """
    parts, steps = _parts(x)
    (R, V), chunks = x.shape, parts.size(1)
    if R:
        with torch.cuda.device_of(x):
            _sums_kernel[(R * chunks,)](
                grad, x, x if out is None else out, centre, parts, V, chunks, slope,
                ACC=_acc(x), ACTIVATION=out is not None, BLOCK=_BLOCK, STEPS=steps,
            )  # fmt: skip
    total, products = parts.sum(1).unbind(1)
    return total, products


def affine_gradients(
    grad: Tensor,
    x: Tensor,
    centre: Tensor,
    factors: tuple[Tensor, Tensor, Tensor],
    *,
    out: Tensor | None = None,
    slope: float = 0.0,
    residual: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Of x: ``a * g + b * (x - centre) + c`` with factors (a, b, c) of each row; of the residual: g."""
    (R, V), by_x = x.shape, torch.empty_like(x)
    by_residual = torch.empty_like(x) if residual else None
    blocks = triton.cdiv(V, _BLOCK)
    if R:
        with torch.cuda.device_of(x):
            _gradients_kernel[(R * blocks,)](
                grad, x, x if out is None else out, centre, *factors, by_x, by_residual if residual else by_x,
                V, blocks, slope, ACC=_acc(x), RESIDUAL=residual, ACTIVATION=out is not None, BLOCK=_BLOCK,
            )  # fmt: skip
    return by_x, by_residual
