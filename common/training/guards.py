"""Handlers that keep a training sane: finite losses, bounded gradients, a second start when stuck."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import torch
from ignite.engine import Engine, Events
from monai.engines import IterationEvents, SupervisedTrainer

from common.errors import InputError

__all__ = ["GradientClamping", "GradientClipping", "NonFiniteLossStop", "RestartWhenStuck"]

logger = logging.getLogger(__name__)


def _file_names(batch: Mapping) -> list[str]:
    names = getattr(batch.get("image"), "meta", {}).get("filename_or_obj", [])
    return [names] if isinstance(names, str) else [str(name) for name in names]


class NonFiniteLossStop:
    """Stop before the weights are touched when a loss is NaN or infinite, naming the batch's files."""

    def attach(self, engine: SupervisedTrainer) -> None:
        """Look at every loss before its backward pass."""
        engine.add_event_handler(IterationEvents.LOSS_COMPLETED, self)

    def __call__(self, engine: SupervisedTrainer) -> None:
        """Raise :class:`InputError` for a loss that is not finite."""
        loss = engine.state.output["loss"]
        if not torch.isfinite(loss):
            names = ", ".join(_file_names(engine.state.batch)) or "unknown files"
            raise InputError(
                f"the loss is {loss.item()} in epoch {engine.state.epoch}, "
                f"iteration {engine.state.iteration}, on {names}. Look at these files; if they are sound, "
                "lower learning_rate. The last good state is kept: go on from it with --resume true"
            )


class GradientClipping:
    """Scale the gradient down to a largest norm before each step of the optimiser.

    Args:
        max_norm: largest 2-norm over all parameters.
    """

    def __init__(self, max_norm: float) -> None:
        self.max_norm = max_norm

    def attach(self, engine: SupervisedTrainer) -> None:
        """Act after every backward pass."""
        engine.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self)

    def __call__(self, engine: SupervisedTrainer) -> None:
        """Clip; with mixed precision the gradients are unscaled first."""
        if engine.scaler is not None:
            engine.scaler.unscale_(engine.optimizer)
        torch.nn.utils.clip_grad_norm_(engine.network.parameters(), self.max_norm)


class GradientClamping:
    """Clamp every entry of the gradient before each step of the optimiser.

    Args:
        largest: magnitude of an entry, above 0; None clamps nothing.
    """

    def __init__(self, largest: float | None) -> None:
        self.largest = largest

    def attach(self, engine: SupervisedTrainer) -> None:
        """Act after every backward pass."""
        if self.largest is not None:
            engine.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self)

    def __call__(self, engine: SupervisedTrainer) -> None:
        """Clamp; with mixed precision the gradients are unscaled first."""
        if engine.scaler is not None:
            engine.scaler.unscale_(engine.optimizer)
        torch.nn.utils.clip_grad_value_(engine.network.parameters(), self.largest)


class RestartWhenStuck:
    """Start again with less momentum if nothing has been learnt by a given epoch (nnU-Net's safeguard).

    Args:
        evaluator: its key metric decides.
        epoch: when to look (cotr/docs/method.md#safeguard).
        momentum: the optimiser's from then on (cotr/docs/method.md#safeguard).
    """

    def __init__(self, evaluator: Engine, *, epoch: int = 100, momentum: float = 0.95) -> None:
        self.evaluator, self.epoch, self.momentum = evaluator, epoch, momentum

    def attach(self, engine: SupervisedTrainer) -> None:
        """Look once, at the end of that epoch; list this handler after the validation."""
        engine.add_event_handler(Events.EPOCH_COMPLETED(once=self.epoch), self)

    def __call__(self, engine: SupervisedTrainer) -> None:
        """Re-initialise the network if the best metric so far is 0."""
        if self.evaluator.state.best_metric > 0:
            return
        logger.warning("nothing learnt in %d epochs: new weights, momentum %g", self.epoch, self.momentum)
        getattr(engine.network, "module", engine.network).reset_parameters()
        for group in engine.optimizer.param_groups:
            group["momentum"] = self.momentum
        engine.optimizer.state.clear()
