"""Instance norm, residual and leaky ReLU on nnU-Net's finest maps (32 channels)."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from benchmarks.speed.measure import Case
from benchmarks.speed.operator import operator_cases
from common.kernels.instance_norm import instance_norm_leaky_relu, instance_norm_leaky_relu_reference

CHANNELS = 32
AWAITS_VERDICT = True  # on a GPU


def cases(*, quick: bool, device: str) -> Iterator[Case]:
    """Growing maps; on a GPU up to nnU-Net's 128 x 128 x 128."""
    on_cpu = torch.device(device).type == "cpu"
    sides = (8, 12) if quick else (16, 32, 48) if on_cpu else (64, 96, 128)
    for side in sides:
        g = torch.Generator().manual_seed(0)
        x, residual = (torch.randn(2, CHANNELS, side, side, side, generator=g) for _ in range(2))
        weight, bias = (torch.randn(CHANNELS, generator=g) for _ in range(2))
        yield from operator_cases(
            f"2 x {CHANNELS} x {side}^3",
            2 * math.prod((side, side, side)),
            ours=instance_norm_leaky_relu,
            reference=instance_norm_leaky_relu_reference,
            tensors=[t.to(device).requires_grad_() for t in (x, weight, bias, residual)],
            choice=None if on_cpu else "triton",
        )
