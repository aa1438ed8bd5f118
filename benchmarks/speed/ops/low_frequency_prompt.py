"""VPTTA's prompt: the sum of the changed frequencies beside two Fourier transforms of the whole image."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from benchmarks.speed.measure import Case
from benchmarks.speed.operator import operator_cases
from common.kernels.low_frequency_prompt import low_frequency_prompt, low_frequency_prompt_reference
from common.tensors.fourier import window_side


def cases(*, quick: bool, device: str) -> Iterator[Case]:
    """Growing images; 512 is the published size for fundus images, 352 that for polyps."""
    for size in (32, 64) if quick else (256, 352, 512):
        g = torch.Generator().manual_seed(0)
        side = window_side(size, 0.01)
        image, prompt = torch.rand(1, 3, size, size, generator=g), torch.rand(1, 3, side, side, generator=g)
        yield from operator_cases(
            f"3 x {size}^2, {side}^2 frequencies",
            size * size,
            ours=low_frequency_prompt,
            reference=low_frequency_prompt_reference,
            tensors=[image.to(device), (0.5 + prompt).to(device).requires_grad_()],
        )
