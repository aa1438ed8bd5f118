"""The dynamic head: one task a sample (DoDNet), and seven tasks of one sample (TransDoDNet)."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from benchmarks.speed.measure import Case
from benchmarks.speed.operator import operator_cases
from common.kernels.dynamic_head import dynamic_head, dynamic_head_reference, parameter_count

CHANNELS, OUTPUTS = 8, 2


def cases(*, quick: bool, device: str) -> Iterator[Case]:
    """Growing maps; on a GPU up to the published 64 x 192 x 192 (DoDNet) and 64 x 96 x 96 (TransDoDNet)."""
    if quick:
        maps, of_tasks = [(4, 8, 8), (8, 8, 8)], (4, 8, 8)
    elif torch.device(device).type == "cpu":
        maps, of_tasks = [(16, 48, 48), (32, 48, 48), (32, 96, 96)], (16, 48, 48)
    else:
        maps, of_tasks = [(16, 192, 192), (32, 192, 192), (64, 192, 192)], (64, 96, 96)
    for shape in maps:
        yield from _at("", 2, 1, shape, device)
    yield from _at("7 tasks, ", 1, 7, of_tasks, device)


def _at(prefix: str, batch: int, tasks: int, shape: tuple[int, ...], device: str) -> Iterator[Case]:
    g = torch.Generator().manual_seed(0)
    features = torch.randn(batch, CHANNELS, *shape, generator=g)
    parameters = torch.randn(batch, tasks, parameter_count(CHANNELS, OUTPUTS), generator=g)
    cases = operator_cases(
        f"{batch} x " + "x".join(map(str, shape)),
        batch * tasks * math.prod(shape),
        ours=lambda x, p: dynamic_head(x, p, OUTPUTS),
        reference=lambda x, p: dynamic_head_reference(x, p, OUTPUTS),
        tensors=[t.to(device).requires_grad_() for t in (features, parameters)],
    )
    for case in cases:
        yield Case(**{**vars(case), "what": prefix + case.what})
