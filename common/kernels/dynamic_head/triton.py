"""Triton kernels of the dynamic head, forward and backward.

The axes are those of :mod:`common.kernels.dynamic_head.reference`.

Channels are few (8), so each is a register vector over a block of voxels and the layers are written out as
multiply-adds: one read of the features, one write of the logits.  The backward pass computes the hidden
layers again, and each program writes one row of parameter gradients; the rows are then summed in a fixed
order.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

__all__ = ["MAX_CHANNELS", "backward", "forward"]

# The layers are unrolled: code and registers grow with the square of the channels.
MAX_CHANNELS = 16
_FORWARD_BLOCK = 512  # voxels per program
_BACKWARD_BLOCK, _BACKWARD_STEPS = 128, 16


@triton.jit
def _load_channels(base, at, live, stride, CHANNELS: tl.constexpr, ACC: tl.constexpr):
    """One vector per channel, zero where not ``live``."""
    loaded = ()
    for i in tl.static_range(CHANNELS):
        loaded = loaded + (tl.load(base + i * stride + at, live, 0.0).to(ACC),)
    return loaded


@triton.jit
def _layer(inputs, weight, bias, IN: tl.constexpr, OUT: tl.constexpr, RELU: tl.constexpr, ACC: tl.constexpr):
    """Vectors of a layer's outputs; weight (OUT, IN) and bias (OUT) in memory."""
    outputs = ()
    for o in tl.static_range(OUT):
        total = tl.load(weight + o * IN).to(ACC) * inputs[0] + tl.load(bias + o).to(ACC)
        for i in tl.static_range(1, IN):
            total += tl.load(weight + o * IN + i).to(ACC) * inputs[i]
        if RELU:
            total = tl.maximum(total, 0.0)
        outputs = outputs + (total,)
    return outputs


@triton.jit
def _by_inputs(
    by_outputs, inputs, weight, IN: tl.constexpr, OUT: tl.constexpr, RELU: tl.constexpr, ACC: tl.constexpr
):
    """Gradients with respect to a layer's inputs; if these come from a ReLU, zero where it was closed."""
    gradients = ()
    for i in tl.static_range(IN):
        total = tl.load(weight + i).to(ACC) * by_outputs[0]
        for o in tl.static_range(1, OUT):
            total += tl.load(weight + o * IN + i).to(ACC) * by_outputs[o]
        if RELU:
            total = tl.where(inputs[i] > 0, total, 0.0)
        gradients = gradients + (total,)
    return gradients


@triton.jit
def _zeros(COUNT: tl.constexpr, BLOCK: tl.constexpr, ACC: tl.constexpr):
    zeros = ()
    for _ in tl.static_range(COUNT):
        zeros = zeros + (tl.zeros([BLOCK], ACC),)
    return zeros


@triton.jit
def _add_outer(sums, left, right, LEFT: tl.constexpr, RIGHT: tl.constexpr):
    """Sums (LEFT * RIGHT vectors) plus all products of a left and a right vector."""
    added = ()
    for a in tl.static_range(LEFT):
        for b in tl.static_range(RIGHT):
            added = added + (sums[a * RIGHT + b] + left[a] * right[b],)
    return added


@triton.jit
def _add(sums, terms, COUNT: tl.constexpr):
    added = ()
    for i in tl.static_range(COUNT):
        added = added + (sums[i] + terms[i],)
    return added


@triton.jit
def _store_sums(base, sums, COUNT: tl.constexpr):
    for i in tl.static_range(COUNT):
        tl.store(base + i, tl.sum(sums[i]))


@triton.jit
def _forward_kernel(
    features, parameters, out, V, T: tl.constexpr, C: tl.constexpr, K: tl.constexpr, N: tl.constexpr,
    ACC: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    sample = tl.program_id(1).to(tl.int64)
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = at < V
    x = _load_channels(features + sample * C * V, at, live, V, C, ACC)
    for task in range(T):
        head = sample * T + task
        w1 = parameters + head * N
        b1 = w1 + 2 * C * C + C * K
        h1 = _layer(x, w1, b1, C, C, True, ACC)
        h2 = _layer(h1, w1 + C * C, b1 + C, C, C, True, ACC)
        logits = _layer(h2, w1 + 2 * C * C, b1 + 2 * C, C, K, False, ACC)
        for k in tl.static_range(K):
            tl.store(out + (head * K + k) * V + at, logits[k], live)


@triton.jit
def _backward_kernel(
    grad, features, parameters, by_features, by_parameters, V,
    T: tl.constexpr, C: tl.constexpr, K: tl.constexpr, N: tl.constexpr,
    ACC: tl.constexpr, BLOCK: tl.constexpr, STEPS: tl.constexpr,
):  # fmt: skip
    sample = tl.program_id(1).to(tl.int64)
    chunk = tl.program_id(0).to(tl.int64)
    x_base = features + sample * C * V
    for task in range(T):
        head = sample * T + task
        w1 = parameters + head * N
        w2 = w1 + C * C
        w3 = w2 + C * C
        b1 = w3 + C * K
        by_w1 = _zeros(C * C, BLOCK, ACC)
        by_w2 = _zeros(C * C, BLOCK, ACC)
        by_w3 = _zeros(K * C, BLOCK, ACC)
        by_b1 = _zeros(C, BLOCK, ACC)
        by_b2 = _zeros(C, BLOCK, ACC)
        by_b3 = _zeros(K, BLOCK, ACC)
        for step in range(STEPS):
            at = (chunk * STEPS + step) * BLOCK + tl.arange(0, BLOCK)
            live = at < V
            x = _load_channels(x_base, at, live, V, C, ACC)
            by_logits = _load_channels(grad + head * K * V, at, live, V, K, ACC)  # zero beyond the map
            h1 = _layer(x, w1, b1, C, C, True, ACC)
            h2 = _layer(h1, w2, b1 + C, C, C, True, ACC)
            by_w3 = _add_outer(by_w3, by_logits, h2, K, C)
            by_b3 = _add(by_b3, by_logits, K)
            by_h2 = _by_inputs(by_logits, h2, w3, C, K, True, ACC)
            by_w2 = _add_outer(by_w2, by_h2, h1, C, C)
            by_b2 = _add(by_b2, by_h2, C)
            by_h1 = _by_inputs(by_h2, h1, w2, C, C, True, ACC)
            by_w1 = _add_outer(by_w1, by_h1, x, C, C)
            by_b1 = _add(by_b1, by_h1, C)
            by_x = _by_inputs(by_h1, x, w1, C, C, False, ACC)
            for i in tl.static_range(C):
                place = by_features + (sample * C + i) * V + at
                tl.store(place, by_x[i] + tl.load(place, live & (task > 0), 0.0), live)
        tl.debug_barrier()  # the next task reads what this one wrote
        row = by_parameters + ((sample * tl.num_programs(0) + chunk) * T + task) * N
        _store_sums(row, by_w1, C * C)
        _store_sums(row + C * C, by_w2, C * C)
        _store_sums(row + 2 * C * C, by_w3, K * C)
        row += 2 * C * C + K * C
        _store_sums(row, by_b1, C)
        _store_sums(row + C, by_b2, C)
        _store_sums(row + 2 * C, by_b3, K)


def _settings(features: Tensor, parameters: Tensor, outputs: int) -> dict:
    return {
        "T": parameters.size(1),
        "C": features.size(1),
        "K": outputs,
        "N": parameters.size(2),
        "ACC": tl.float64 if features.dtype == torch.float64 else tl.float32,
    }


def forward(features: Tensor, parameters: Tensor, outputs: int) -> Tensor:
    """(B, C, V) and (B, T, N) to logits (B, T, K, V)."""
    B, _, V = features.shape
    out = features.new_empty(B, parameters.size(1), outputs, V)
    if out.numel():
        _forward_kernel[(triton.cdiv(V, _FORWARD_BLOCK), B)](
            features.contiguous(), parameters.contiguous(), out, V,
            BLOCK=_FORWARD_BLOCK, **_settings(features, parameters, outputs),
        )  # fmt: skip
    return out


def backward(grad: Tensor, features: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients with respect to features and parameters, from ``grad`` (B, T, K, V)."""
    (B, C, V), (T, N), K = features.shape, parameters.shape[1:], grad.size(2)
    if not grad.numel():
        return torch.zeros_like(features), torch.zeros_like(parameters)
    acc = torch.promote_types(features.dtype, torch.float32)
    # Every task adds to the same gradient, so it stays in the wider type until the last has done so.
    by_features = torch.empty((B, C, V), dtype=acc, device=features.device)
    steps = min(_BACKWARD_STEPS, triton.next_power_of_2(triton.cdiv(V, _BACKWARD_BLOCK)))
    chunks = triton.cdiv(V, _BACKWARD_BLOCK * steps)
    by_parameters = torch.empty((B, chunks, T, N), dtype=acc, device=features.device)
    _backward_kernel[(chunks, B)](
        grad.contiguous(), features.contiguous(), parameters.contiguous(), by_features, by_parameters, V,
        BLOCK=_BACKWARD_BLOCK, STEPS=steps, **_settings(features, parameters, K),
    )  # fmt: skip
    return by_features.to(features.dtype), by_parameters.sum(1).to(parameters.dtype)
