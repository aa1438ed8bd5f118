"""Handlers that keep a training sane: finite losses, bounded gradients, a second start when stuck."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import torch
from ignite.distributed import all_reduce, get_world_size
from ignite.engine import Events
from monai.engines import IterationEvents, SupervisedTrainer
from torch.distributed import broadcast

from common.errors import InputError

__all__ = [
    "GradientClamping",
    "GradientClipping",
    "NonFiniteLossStop",
    "RestartWhenStuck",
    "foreground_hits",
]

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


def foreground_hits(output: Mapping[str, Any]) -> int:
    """How many foreground voxels of an iteration's patches get their class.

    Args:
        output: the trainer's: ``pred`` logits (B, K, *S), or a list that begins with them;
            ``label`` (B, 1, *S).
    """
    pred, label = output["pred"], output["label"]
    logits = pred[0] if isinstance(pred, (list, tuple)) else pred
    return int(((logits.argmax(dim=1, keepdim=True) == label) & (label > 0)).sum())


class RestartWhenStuck:
    """Start again with less momentum if nothing has been learnt by a given epoch (nnU-Net's safeguard).

    nnU-Net looks at the patches that it validates on in that epoch; this looks at those that it trains on,
    since a recipe that keeps the last weights holds nothing out.

    Args:
        epoch: when to look (cotr/docs/method.md#safeguard).
        momentum: the optimiser's from then on (cotr/docs/method.md#safeguard).
        hits: number of voxels found, of the output of an iteration; 0 in the whole epoch means stuck.
    """

    def __init__(
        self,
        *,
        epoch: int = 100,
        momentum: float = 0.95,
        hits: Callable[[Mapping[str, Any]], int] = foreground_hits,
    ) -> None:
        self.epoch, self.momentum, self.hits = epoch, momentum, hits
        self.found = 0

    def attach(self, engine: SupervisedTrainer) -> None:
        """Count in that epoch, act at its end."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.count)
        engine.add_event_handler(Events.EPOCH_COMPLETED(once=self.epoch), self)

    def count(self, engine: SupervisedTrainer) -> None:
        """Look at an iteration's output until something was found."""
        if engine.state.epoch == self.epoch and not self.found:
            self.found = self.hits(engine.state.output)

    def __call__(self, engine: SupervisedTrainer) -> None:
        """Re-initialise the network if no process has found anything."""
        if all_reduce(self.found) > 0:
            return
        logger.warning("nothing learnt in %d epochs: new weights, momentum %g", self.epoch, self.momentum)
        network = getattr(engine.network, "module", engine.network)
        network.reset_parameters()
        if get_world_size() > 1:  # each process has drawn its own (EpochSeed), and none would ever tell
            for tensor in network.state_dict().values():
                broadcast(tensor, src=0)
        for group in engine.optimizer.param_groups:
            group["momentum"] = self.momentum
        engine.optimizer.state.clear()
