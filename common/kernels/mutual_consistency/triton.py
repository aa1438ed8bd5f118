"""Triton kernel of the mutual consistency: the loss and its gradients in one pass over memory.

Axes are those of :mod:`common.kernels.mutual_consistency.reference`, formulas those of ``cpu`` beside it.

A program owns a block of voxels: it reads all K logit maps once, and writes its part of the loss and the
gradients of the logits.  Probabilities live in registers, so maps and classes have to be few.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

__all__ = ["MAX_CLASSES", "MAX_MAPS", "loss_and_gradients"]

MAX_MAPS, MAX_CLASSES = 4, 8
_BLOCK = 256


@triton.jit
def _probabilities(z, live, V, sharpness, C: tl.constexpr, ACC: tl.constexpr, TINY: tl.constexpr):
    """P, S and 1 - P of one map, a vector for each class; for two classes, of the second class alone."""
    if C == 2:
        margin = tl.load(z + V, live, 0.0).to(ACC) - tl.load(z, live, 0.0).to(ACC)
        return (tl.sigmoid(margin),), (tl.sigmoid(margin * sharpness),), (tl.sigmoid(-margin),)
    raw = ()
    largest = tl.load(z, live, 0.0).to(ACC)
    for c in tl.static_range(C):
        raw = raw + (tl.load(z + c * V, live, 0.0).to(ACC),)
        largest = tl.maximum(largest, raw[c])
    shifted = ()
    total = largest * 0.0
    for c in tl.static_range(C):
        shifted = shifted + (tl.exp(raw[c] - largest),)
        total += shifted[c]
    probabilities = ()
    sharpened = ()
    rests = ()
    for c in tl.static_range(C):
        rest = largest * 0.0
        for other in tl.static_range(C):
            if other != c:
                rest += shifted[other]  # a sum: 1 - P would cancel to 0
        rest = tl.maximum(rest / total, TINY)
        p = shifted[c] / total
        probabilities = probabilities + (p,)
        sharpened = sharpened + (tl.sigmoid((tl.log(p) - tl.log(rest)) * sharpness),)
        rests = rests + (rest,)
    return probabilities, sharpened, rests


@triton.jit
def _store_gradient(
    target, live, V, p, s, rest, by_p, by_s, sharpness, C: tl.constexpr, DETACH: tl.constexpr
):  # fmt: skip
    """From gradients of P and S, a vector for each class, to those of the logits."""
    if C == 2:
        by_margin = by_p[0] * p[0] * rest[0]
        if not DETACH:
            by_margin += by_s[0] * s[0] * (1.0 - s[0]) * sharpness
        tl.store(target, -2.0 * by_margin, live)  # twice: the first class has the same difference
        tl.store(target + V, 2.0 * by_margin, live)
    else:
        inner = by_p[0] * 0.0
        shares = by_p[0] * 0.0
        for c in tl.static_range(C):
            inner += by_p[c] * p[c]
            if not DETACH:
                shares += by_s[c] * s[c] * (1.0 - s[c]) * sharpness / rest[c]
        for c in tl.static_range(C):
            by_z = p[c] * (by_p[c] - inner)
            if not DETACH:
                by_logit = by_s[c] * s[c] * (1.0 - s[c]) * sharpness
                by_z += by_logit - p[c] * (shares - by_logit / rest[c])
            tl.store(target + c * V, by_z, live)


@triton.jit
def _kernel(
    z0, z1, z2, z3, g0, g1, g2, g3, parts, V, blocks, sharpness,
    K: tl.constexpr, C: tl.constexpr, TERMS: tl.constexpr, ACC: tl.constexpr, TINY: tl.constexpr,
    DETACH: tl.constexpr, GRADIENTS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    program = tl.program_id(0).to(tl.int64)
    at = (program % blocks) * BLOCK + tl.arange(0, BLOCK)
    live = at < V
    place = (program // blocks) * C * V + at
    maps = (z0, z1, z2, z3)
    targets = (g0, g1, g2, g3)
    p = ()
    s = ()
    rest = ()
    for k in tl.static_range(K):
        found = _probabilities(maps[k] + place, live, V, sharpness, C, ACC, TINY)
        p = p + found[0]
        s = s + found[1]
        rest = rest + found[2]
    # Of each class: the middle, around which nothing large cancels, and sums around it.
    middle = ()
    sum_p = ()
    sum_s = ()
    for c in tl.static_range(TERMS):
        of_p = p[c]
        of_s = s[c]
        for k in tl.static_range(1, K):
            of_p += p[k * TERMS + c]
            of_s += s[k * TERMS + c]
        middle = middle + (of_s / K,)
        sum_p = sum_p + (of_p - of_s,)
        sum_s = sum_s + (of_s - middle[c] * K,)
    loss = tl.zeros([BLOCK], ACC)
    for k in tl.static_range(K):
        by_p = ()
        by_s = ()
        for c in tl.static_range(TERMS):
            near_p = p[k * TERMS + c] - middle[c]
            near_s = s[k * TERMS + c] - middle[c]
            half_p = (K - 1) * near_p - sum_s[c] + near_s
            half_s = (K - 1) * near_s - sum_p[c] + near_p
            loss += near_p * half_p + near_s * half_s
            by_p = by_p + (2.0 * half_p,)
            by_s = by_s + (2.0 * half_s,)
        if GRADIENTS:
            _store_gradient(
                targets[k] + place, live, V, p[k * TERMS : (k + 1) * TERMS],
                s[k * TERMS : (k + 1) * TERMS], rest[k * TERMS : (k + 1) * TERMS],
                by_p, by_s, sharpness, C, DETACH,
            )  # fmt: skip
    tl.store(parts + program, tl.sum(tl.where(live, loss, 0.0)) * (2 if C == 2 else 1))


def loss_and_gradients(
    maps: Sequence[Tensor], temperature: float, *, detach: bool, with_gradients: bool
) -> tuple[Tensor, list[Tensor]]:
    """Summed loss (float64) and its gradients with respect to the logits, in their type.

    Args:
        maps: K logits (B, C, V) of one shape; K at most ``MAX_MAPS``, C at most ``MAX_CLASSES``.
        temperature: T.
        detach: no gradient through the sharpened side.
        with_gradients: if false, the list is empty.
    """
    K, (B, C, V) = len(maps), maps[0].shape
    maps = [z.contiguous() for z in maps]
    gradients = [torch.empty_like(z) for z in maps] if with_gradients else []
    blocks = triton.cdiv(V, _BLOCK)
    acc = torch.promote_types(maps[0].dtype, torch.float32)
    parts = torch.empty(B * blocks, dtype=acc, device=maps[0].device)
    if maps[0].numel():
        unused = [maps[0]] * (MAX_MAPS - K)
        _kernel[(B * blocks,)](
            *maps, *unused, *(gradients or maps), *unused, parts, V, blocks, 1 / temperature,
            K=K, C=C, TERMS=1 if C == 2 else C, ACC=tl.float64 if acc == torch.float64 else tl.float32,
            TINY=torch.finfo(acc).tiny, DETACH=detach, GRADIENTS=with_gradients, BLOCK=_BLOCK,
        )  # fmt: skip
    return parts.sum(dtype=torch.float64), gradients
