"""The calls that bundles are measured by: a prediction, a training step, and the same on the eager path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.measure import eager_kernels

__all__ = ["directly", "prediction", "training_step"]

Call = Callable[[], None]


def prediction(module: nn.Module, x: Any) -> Call:
    """``module(x)`` in eval mode, without gradients."""

    @torch.no_grad()
    def run() -> None:
        module.eval()(x)

    return run


def training_step(network: nn.Module, loss: Callable[[], Tensor], *, lr: float = 1e-4) -> Call:
    """Forward, loss, backward, SGD.

    Args:
        network: whose parameters the step changes; in training mode when ``loss`` is called.
        loss: the forward pass and its loss, a scalar.
        lr: learning rate.
    """
    optimizer = torch.optim.SGD(network.parameters(), lr=lr, momentum=0.9)

    def run() -> None:
        network.train()
        loss().backward()
        optimizer.step()
        optimizer.zero_grad()  # gradients left behind would hide those of the next call from its peak

    return run


def directly(run: Call) -> Call:
    """The same call with the eager reference of every kernel."""

    def direct() -> None:
        with eager_kernels():
            run()

    return direct
