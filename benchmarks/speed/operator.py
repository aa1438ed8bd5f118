"""The cases of an operator: forward, and forward with backward, ours beside its reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from benchmarks.speed.measure import Case, kernels

__all__ = ["operator_cases"]

Operator = Callable[..., Tensor | Sequence[Tensor]]


def operator_cases(
    size: str,
    tokens: int,
    *,
    ours: Operator,
    reference: Operator,
    tensors: Sequence[Tensor],
    choice: str | None = None,
) -> Iterator[Case]:
    """Two cases at one size.

    Args:
        size: in words.
        tokens: as a number.
        ours: the operator, called with the tensors.
        reference: its definition, likewise.
        tensors: inputs; gradients are taken by those that ask for one.
        choice: COMMON_KERNELS while ours runs, where it is not the default.
    """
    compiled = torch.compile(reference, dynamic=False, fullgraph=True)
    differentiable = [t for t in tensors if t.requires_grad]
    with torch.no_grad():
        outputs = _as_list(reference(*tensors))
    g = torch.Generator().manual_seed(1)
    cotangents = [torch.randn(o.shape, generator=g).to(o) for o in outputs]
    once = sum(t.nbytes for t in (*tensors, *outputs))

    def forward(operator: Operator, setting: str | None = None) -> Callable[[], Any]:
        @torch.no_grad()
        def run() -> Any:
            with kernels(setting) if setting else nullcontext():
                return operator(*tensors)

        return run

    def backward(operator: Operator, setting: str | None = None) -> Callable[[], Any]:
        def run() -> Any:
            with kernels(setting) if setting else nullcontext():
                return torch.autograd.grad(_as_list(operator(*tensors)), differentiable, cotangents)

        return run

    # Backward reads the inputs and the gradient of the output again, and writes the gradients of inputs.
    twice = once + sum(t.nbytes for t in (*tensors, *outputs, *differentiable))
    for what, run, moved in (("forward", forward, once), ("forward + backward", backward, twice)):
        yield Case(
            what=what,
            size=size,
            tokens=tokens,
            ours=run(ours, choice),
            direct=run(reference),
            compiled=run(compiled),
            bytes_moved=moved,
        )


def _as_list(output: Tensor | Sequence[Tensor]) -> list[Tensor]:
    return [output] if isinstance(output, Tensor) else list(output)
