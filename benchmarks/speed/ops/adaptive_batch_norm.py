"""Adaptive batch norm with its alignment loss, at VPTTA's finest map (64 channels, one image)."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from benchmarks.speed.measure import Case
from benchmarks.speed.operator import operator_cases
from common.kernels.adaptive_batch_norm import adaptive_batch_norm, adaptive_batch_norm_reference

CHANNELS = 64
SHARE = 1 / (1 / 5 + 1)  # of the first image
AWAITS_VERDICT = True  # on a GPU


def cases(*, quick: bool, device: str) -> Iterator[Case]:
    """Growing maps; 256 x 256 is the first layer of a 512 x 512 image."""
    on_cpu = torch.device(device).type == "cpu"
    for side in (16, 32) if quick else (64, 128, 256) if on_cpu else (128, 256, 512):
        g = torch.Generator().manual_seed(0)
        z = torch.randn(1, CHANNELS, side, side, generator=g)
        mean, weight, bias = (torch.randn(CHANNELS, generator=g) for _ in range(3))
        variance = 0.5 + torch.rand(CHANNELS, generator=g)
        tensors = [t.to(device) for t in (z, mean, variance, weight, bias)]
        tensors[0].requires_grad_()  # at test time nothing else is learned
        yield from operator_cases(
            f"1 x {CHANNELS} x {side}^2",
            side * side,
            ours=lambda *given: adaptive_batch_norm(*given, SHARE),
            reference=lambda *given: adaptive_batch_norm_reference(*given, SHARE),
            tensors=tensors,
            choice=None if on_cpu else "triton",
        )
