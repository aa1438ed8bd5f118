"""The calls that bundles are measured by: a prediction, a training step, and the same on the eager path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.speed.measure import eager_kernels

__all__ = ["compiled_directly", "directly", "prediction", "training_step"]

Call = Callable[[], Any]  # what it returns is what a compiler has to compute


def prediction(module: nn.Module, x: Any) -> Call:
    """``module(x)`` in eval mode, without gradients."""

    @torch.no_grad()
    def run() -> Any:
        return module.eval()(x)

    return run


def training_step(network: nn.Module, loss: Callable[[], Tensor], *, lr: float = 1e-4) -> Call:
    """Forward, loss, backward, SGD.

    Args:
        network: whose parameters the step changes; in training mode when ``loss`` is called.
        loss: the forward pass and its loss, a scalar.
        lr: learning rate.
    """
    optimizer = torch.optim.SGD(network.parameters(), lr=lr, momentum=0.9)

    def run() -> Tensor:
        network.train()
        value = loss()
        value.backward()
        optimizer.step()
        optimizer.zero_grad()  # gradients left behind would hide those of the next call from its peak
        return value.detach()

    return run


def directly(run: Call) -> Call:
    """The same call with the eager reference of every kernel."""

    def direct() -> Any:
        with eager_kernels():
            return run()

    return direct


def compiled_directly(run: Call) -> Call:
    """The eager reference under ``torch.compile``; the choice of kernels stays outside what is compiled."""
    return directly(torch.compile(run, dynamic=False))
