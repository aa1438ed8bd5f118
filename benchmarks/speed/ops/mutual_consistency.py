"""Sharpened consistency of three decoders, two classes, at MC-Net+'s batch of four left-atrium patches."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from benchmarks.speed.measure import Case
from benchmarks.speed.operator import operator_cases
from common.kernels.mutual_consistency import mutual_consistency, mutual_consistency_reference

DECODERS, CLASSES, BATCH = 3, 2, 4
AWAITS_VERDICT = True  # on a GPU


def cases(*, quick: bool, device: str) -> Iterator[Case]:
    """Growing patches; on a GPU up to the published 112 x 112 x 80."""
    on_cpu = torch.device(device).type == "cpu"
    patches = ((16, 16, 8), (16, 16, 16)) if quick else ((32, 32, 16), (32, 32, 32), (48, 48, 32))
    for patch in patches if on_cpu or quick else ((56, 56, 40), (112, 112, 40), (112, 112, 80)):
        g = torch.Generator().manual_seed(0)
        logits = [3 * torch.randn(BATCH, CLASSES, *patch, generator=g) for _ in range(DECODERS)]
        yield from operator_cases(
            f"{DECODERS} of {BATCH} x {CLASSES} x " + "x".join(map(str, patch)),
            BATCH * math.prod(patch),
            ours=lambda *given: mutual_consistency(given),
            reference=lambda *given: mutual_consistency_reference(given),
            tensors=[z.to(device).requires_grad_() for z in logits],
            choice=None if on_cpu else "triton",
        )
