"""Deformable attention at CoTr's width, the maps growing in depth."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from benchmarks.measure import Case
from common.kernels.deformable_attention import deformable_attention, deformable_attention_reference

HEADS, CHANNELS, POINTS = 6, 64, 4
SPREAD = 2.0  # voxels: standard deviation of the offsets, about that of CoTr's initial grid


def cases(*, quick: bool, device: str) -> Iterator[Case]:
    """Both levels of CoTr's 48 x 192 x 192 patch (depth 12 and 6), at half to four times its depth."""
    for depth in (4, 6) if quick else (6, 12, 24, 48):
        plane = 8 if quick else 24
        levels = [[depth, plane, plane], [depth // 2, plane // 2, plane // 2]]
        tensors, cotangent = _inputs(levels, device)
        size = " + ".join("x".join(map(str, level)) for level in levels)
        for what, run in (("forward", _forward), ("forward + backward", _backward)):
            yield Case(
                what=what,
                size=size,
                tokens=cotangent.size(1),
                ours=run(deformable_attention, levels, tensors, cotangent),
                direct=run(deformable_attention_reference, levels, tensors, cotangent),
            )


def _inputs(levels: list[list[int]], device: str) -> tuple[list[Tensor], Tensor]:
    """Value, locations and weights of self-attention: each token looks around its own voxel."""
    g = torch.Generator().manual_seed(0)
    S, L = sum(math.prod(level) for level in levels), len(levels)
    centres = [
        torch.stack(torch.meshgrid([(torch.arange(n) + 0.5) / n for n in level], indexing="ij"), -1)
        for level in levels
    ]
    own = torch.cat([c.reshape(-1, 3) for c in centres]).flip(-1).view(1, S, 1, 1, 1, 3)
    sizes = torch.tensor(levels).flip(-1).view(L, 1, 3)
    offsets = SPREAD * torch.randn(1, S, HEADS, L, POINTS, 3, generator=g)
    value = torch.randn(1, S, HEADS, CHANNELS, generator=g)
    weights = torch.randn(1, S, HEADS, L * POINTS, generator=g).softmax(-1).view(1, S, HEADS, L, POINTS)
    cotangent = torch.randn(1, S, HEADS * CHANNELS, generator=g)
    tensors = [t.to(device).requires_grad_() for t in (value, own + offsets / sizes, weights)]
    return tensors, cotangent.to(device)


def _forward(attend: Callable, levels: list[list[int]], tensors: list[Tensor], _: Tensor) -> Callable:
    @torch.no_grad()
    def run() -> None:
        attend(tensors[0], levels, *tensors[1:])

    return run


def _backward(
    attend: Callable, levels: list[list[int]], tensors: list[Tensor], cotangent: Tensor
) -> Callable:
    def run() -> None:
        torch.autograd.grad(attend(tensors[0], levels, *tensors[1:]), tensors, cotangent)

    return run
