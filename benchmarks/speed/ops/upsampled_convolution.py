"""Nearest up-sampling and a 3x3x3 convolution, at the finest step of MC-Net+'s third decoder (32 to 16)."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from benchmarks.speed.measure import Case
from benchmarks.speed.operator import operator_cases
from common.kernels.upsampled_convolution import nearest_upsampled_conv3d, nearest_upsampled_conv3d_reference

CHANNELS, OUTPUTS = 32, 16


def cases(*, quick: bool, device: str) -> Iterator[Case]:
    """Growing maps; on a GPU up to 56 x 56 x 40, half of the published patch."""
    on_cpu = torch.device(device).type == "cpu"
    sizes = ((4, 4, 4), (8, 4, 4)) if quick else ((12, 12, 12), (24, 12, 12), (24, 24, 12))
    for size in sizes if on_cpu or quick else ((28, 28, 40), (56, 28, 40), (56, 56, 40)):
        g = torch.Generator().manual_seed(0)
        x = torch.randn(1, CHANNELS, *size, generator=g)
        weight, bias = torch.randn(OUTPUTS, CHANNELS, 3, 3, 3, generator=g), torch.randn(OUTPUTS, generator=g)
        yield from operator_cases(
            f"{CHANNELS} to {OUTPUTS} x " + "x".join(map(str, size)),
            x[0, 0].numel(),
            ours=nearest_upsampled_conv3d,
            reference=nearest_upsampled_conv3d_reference,
            tensors=[t.to(device).requires_grad_() for t in (x, weight, bias)],
        )
