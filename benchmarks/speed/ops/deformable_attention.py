"""Deformable attention at CoTr's width, the maps growing in depth; and in two dimensions."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from benchmarks.speed.measure import Case
from benchmarks.speed.operator import operator_cases
from common.kernels.deformable_attention import deformable_attention, deformable_attention_reference

HEADS, CHANNELS, POINTS = 6, 64, 4
SPREAD = 2.0  # voxels: standard deviation of the offsets, about that of CoTr's initial grid


def cases(*, quick: bool, device: str) -> Iterator[Case]:
    """Both levels of CoTr's 48 x 192 x 192 patch (depth 12 and 6), at half to twice its depth; 2D levels.

    On a GPU up to eight times its depth.
    """
    on_cpu = torch.device(device).type == "cpu"
    plane = 8 if quick else 24
    for depth in (4, 6) if quick else (6, 12, 24) if on_cpu else (12, 24, 48, 96):
        yield from _at([[depth, plane, plane], [depth // 2, plane // 2, plane // 2]], device)
    if not quick:
        side = 64 if on_cpu else 256
        yield from _at([[side, side], [side // 2, side // 2]], device)


def _at(levels: list[list[int]], device: str) -> Iterator[Case]:
    tensors = _inputs(levels, device)

    def bound(attend):
        return lambda value, locations, weights: attend(value, levels, locations, weights)

    cases = operator_cases(
        " + ".join("x".join(map(str, level)) for level in levels),
        tensors[0].size(1),
        ours=bound(deformable_attention),
        reference=bound(deformable_attention_reference),
        tensors=tensors,
    )
    for case in cases:
        yield case if len(levels[0]) == 3 else _renamed(case, f"2D, {case.what}")


def _renamed(case: Case, what: str) -> Case:
    return Case(**{**vars(case), "what": what})


def _inputs(levels: list[list[int]], device: str) -> list[Tensor]:
    """Value, locations and weights of self-attention: each token looks around its own voxel."""
    g = torch.Generator().manual_seed(0)
    S, L, dims = sum(math.prod(level) for level in levels), len(levels), len(levels[0])
    centres = [
        torch.stack(torch.meshgrid([(torch.arange(n) + 0.5) / n for n in level], indexing="ij"), -1)
        for level in levels
    ]
    own = torch.cat([c.reshape(-1, dims) for c in centres]).flip(-1).view(1, S, 1, 1, 1, dims)
    sizes = torch.tensor(levels).flip(-1).view(L, 1, dims)
    offsets = SPREAD * torch.randn(1, S, HEADS, L, POINTS, dims, generator=g)
    value = torch.randn(1, S, HEADS, CHANNELS, generator=g)
    weights = torch.randn(1, S, HEADS, L * POINTS, generator=g).softmax(-1).view(1, S, HEADS, L, POINTS)
    return [t.to(device).requires_grad_() for t in (value, own + offsets / sizes, weights)]
