"""Which weights a training leaves, and loading them when an engine starts."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from ignite.distributed import all_reduce, get_rank
from ignite.engine import Engine, Events
from monai.engines import Evaluator
from torch import nn
from tqdm import tqdm

from common.checkpoints.folds import shown_weights
from common.checkpoints.store import load_weights
from common.errors import InputError
from common.training.numbers import line_of_numbers
from common.training.run import TrainingRun

__all__ = ["EndWithWeights", "KeepLowestLoss", "KeepWeights", "StrictCheckpointLoader"]

logger = logging.getLogger(__name__)


class KeepWeights:
    """Write the bare state dict after a validation: if its key metric is the best so far, or always.

    Args:
        network: the network whose weights are kept.
        path: ``models/model.pt``.
        which: "best", or "last" where a recipe ends with its last epoch's weights; "lowest_loss" leaves
            them to ``lowest_loss``.
        lowest_loss: the handler that keeps these, in recipes that have one.
        run: that writes them; by default a new one.

    Raises:
        InputError: ``which`` is none of these, or nothing would keep the weights of the lowest loss.
    """

    def __init__(
        self,
        network: nn.Module,
        path: str | Path,
        *,
        which: str = "best",
        lowest_loss: KeepLowestLoss | None = None,
        run: TrainingRun | None = None,
    ) -> None:
        words = ("best", "last") if lowest_loss is None else ("best", "last", "lowest_loss")
        if which not in words:
            raise InputError(f"keep = {which!r}; expected one of: {', '.join(words)}")
        self.network, self.which = network, which
        self.run = run or TrainingRun(path)

    def attach(self, evaluator: Engine) -> None:
        """Act after every validation."""
        evaluator.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, evaluator: Engine) -> None:
        """Save if this validation was the best, or if the last one counts."""
        best = self.which == "best" and evaluator.state.best_metric_epoch == evaluator.state.epoch
        if best or self.which == "last":
            self.save()

    def save(self) -> None:
        """Write the weights; of several processes the first does."""
        self.run.save(self.network)


class KeepLowestLoss:
    """Write the weights after every epoch whose mean training loss is the lowest so far.

    Some published recipes choose this way, without validation.  Part of a :class:`ResumePoint`.

    Args:
        network: the network whose weights are kept.
        path: ``models/model.pt``.
        active: whether this run chooses this way; if not, the handler does nothing.
        run: that writes them; by default a new one.
    """

    def __init__(
        self, network: nn.Module, path: str | Path, *, active: bool = True, run: TrainingRun | None = None
    ) -> None:
        self.keep, self.active = KeepWeights(network, path, which="last", run=run), active
        self.lowest = float("inf")
        self.losses: list[float] = []

    def attach(self, trainer: Engine) -> None:
        """Follow the loss, act after every epoch."""
        if self.active:
            trainer.add_event_handler(Events.ITERATION_COMPLETED, self.add_loss)
            trainer.add_event_handler(Events.EPOCH_COMPLETED, self)

    def add_loss(self, trainer: Engine) -> None:
        """Note the iteration's loss."""
        output = trainer.state.output[0] if isinstance(trainer.state.output, list) else trainer.state.output
        self.losses.append(output["loss"].item())

    def __call__(self, _: Engine) -> None:
        """Save if the epoch's mean, over all processes, is a new lowest."""
        total, count = all_reduce(
            torch.tensor([sum(self.losses), len(self.losses)], dtype=torch.float64)
        ).tolist()
        self.losses = []
        if total / max(count, 1) < self.lowest:
            self.lowest = total / max(count, 1)
            self.keep.save()

    def state_dict(self) -> dict[str, float]:
        """The lowest loss."""
        return {"lowest": self.lowest}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Go on from a lowest loss.

        Raises:
            ValueError: it is no number.
        """
        lowest = state["lowest"]
        if not isinstance(lowest, float | int) or math.isnan(lowest):
            raise ValueError(f"lowest = {lowest!r} is no loss")
        self.lowest = lowest


class EndWithWeights:
    """Make sure that a training leaves weights, however short it is and whatever data it was given.

    After the last epoch it validates where the interval has not just done so (3 epochs with an
    interval of 6 would end without weights).  Where there is nothing to validate on, as in recipes that
    train on every case or after the first scan labelled in MONAI Label, it writes the last epoch's weights
    itself, unless :class:`KeepLowestLoss` has written others.

    Args:
        evaluator: the validation's; list this handler after the one that runs it at intervals.
        network: the network whose weights are kept.
        path: ``models/model.pt``.
        which: as :class:`KeepWeights` takes it.
        run: that writes them; by default a new one.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        network: nn.Module,
        path: str | Path,
        *,
        which: str = "best",
        run: TrainingRun | None = None,
    ) -> None:
        self.evaluator, self.network, self.which = evaluator, network, which
        self.run = run or TrainingRun(path)

    def attach(self, trainer: Engine) -> None:
        """Say what is trained on; look at the end of every epoch whether it is the last."""
        trainer.add_event_handler(Events.STARTED, self.tell)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, self)

    def tell(self, trainer: Engine) -> None:
        """Print how many cases are trained on and how many choose the weights; the first process does."""
        if get_rank() == 0:
            training, validation = (_entries_of(engine) for engine in (trainer, self.evaluator))
            tqdm.write(line_of_numbers(training, validation, self.which))

    def __call__(self, trainer: Engine) -> None:
        """Validate or save after the last epoch."""
        if trainer.state.epoch < trainer.state.max_epochs:
            return
        if not len(self.evaluator.data_loader):
            if self.which == "best":
                logger.warning("no case to validate on: the weights of the last epoch are kept, good or bad")
            if self.which != "lowest_loss":
                self.run.save(self.network)
        elif self.evaluator.state.epoch != trainer.state.epoch:
            self.evaluator.run(trainer.state.epoch)


def _entries_of(engine: Engine) -> Sequence[Any]:
    """What an engine's data set is made of; its items where it does not say."""
    dataset = getattr(engine.data_loader, "dataset", [])
    return getattr(dataset, "data", dataset)


class StrictCheckpointLoader:
    """Load ``models/model.pt`` when an engine starts, every key accounted for.

    The name matters: MONAI's FL client switches off the handlers called ``*CheckpointLoader``.

    Args:
        network: receives the weights.
        path: the bare state dict, or several whose probabilities are averaged: each must fit, and one line
            says which they are.
        bundle: named in the message when there are no weights.
    """

    def __init__(self, network: nn.Module, path: str | Path | Sequence[str | Path], *, bundle: str) -> None:
        self.network, self.bundle = network, bundle
        self.paths = [path] if isinstance(path, str | Path) else list(path)

    def attach(self, engine: Engine) -> None:
        """Load before the first case."""
        engine.add_event_handler(Events.STARTED, self)

    def __call__(self, _: Engine) -> None:
        """Load; an :class:`InputError` says what is missing."""
        for path in self.paths:
            load_weights(self.network, path, bundle=self.bundle)
        if len(self.paths) > 1 and get_rank() == 0:
            tqdm.write(f"averaging {shown_weights(self.paths)}")
