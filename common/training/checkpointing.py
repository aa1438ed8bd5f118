"""What a run leaves behind: the best weights, and the state to go on from."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from ignite.distributed import all_reduce, get_rank
from ignite.engine import Engine, Events
from monai.engines import Evaluator
from torch import nn

from common.checkpoints import load_weights, read_checkpoint, save_state
from common.errors import InputError
from common.files import atomic_path

__all__ = [
    "EndWithWeights",
    "KeepLowestLoss",
    "KeepWeights",
    "ResumePoint",
    "StrictCheckpointLoader",
    "shared",
]

logger = logging.getLogger(__name__)


class KeepWeights:
    """Write the bare state dict after a validation: of the best key metric so far, or always of the last.

    The weights of an earlier run under the same name are kept beside it as ``*_previous.pt``.

    Args:
        network: whose weights.
        path: ``models/model.pt``.
        which: "best", or "last" where a recipe ends with its last epoch's weights; "lowest_loss" leaves
            them to :class:`KeepLowestLoss`.
        resumed: whether this run goes on with the one that wrote ``path``.

    Raises:
        ValueError: ``which`` is another word.
    """

    def __init__(
        self, network: nn.Module, path: str | Path, *, which: str = "best", resumed: bool = False
    ) -> None:
        if which not in ("best", "last", "lowest_loss"):
            raise ValueError(f'KeepWeights: which={which!r}; expected "best", "last" or "lowest_loss"')
        self.network, self.path, self.which = network, Path(path), which
        self.keep_earlier = not resumed

    def attach(self, evaluator: Engine) -> None:
        """Act after every validation."""
        evaluator.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, evaluator: Engine) -> None:
        """Save if this validation was the best, or the last one counts."""
        best = self.which == "best" and evaluator.state.best_metric_epoch == evaluator.state.epoch
        if best or self.which == "last":
            self.save()

    def save(self) -> None:
        """Write the weights; of several processes the first does."""
        if get_rank() > 0:
            return
        if self.keep_earlier and self.path.is_file():
            shutil.copy2(self.path, self.path.with_name(f"{self.path.stem}_previous{self.path.suffix}"))
        self.keep_earlier = False
        save_state(self.network, self.path)


class KeepLowestLoss:
    """Write the weights after every epoch whose mean training loss is the lowest so far.

    Some published recipes choose so, with no validation.  Part of a :class:`ResumePoint`.

    Args:
        network: whose weights.
        path: ``models/model.pt``.
        active: whether this run chooses so; else the handler does nothing.
        resumed: whether this run goes on with the one that wrote ``path``.
    """

    def __init__(
        self, network: nn.Module, path: str | Path, *, active: bool = True, resumed: bool = False
    ) -> None:
        self.keep, self.active = KeepWeights(network, path, which="lowest_loss", resumed=resumed), active
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
        """Go on from a lowest loss."""
        self.lowest = state["lowest"]


def shared(handler: Any) -> Any:
    """The handler itself, for a config's list of handlers where another node refers to it too.

    MONAI's property check takes every element of that list for a mapping with a ``_target_``.
    """
    return handler


class EndWithWeights:
    """See that a training leaves weights, however short it is and whatever it was given.

    After the last epoch it validates where the interval has not just done so (3 epochs with an
    interval of 6 would end without weights).  Where there is nothing to validate on, as after the
    first scan labelled in MONAI Label, it writes the last epoch's weights itself.

    Args:
        evaluator: of the validation; list this handler behind the one that runs it at intervals.
        network: whose weights.
        path: ``models/model.pt``.
    """

    def __init__(self, evaluator: Evaluator, network: nn.Module, path: str | Path) -> None:
        self.evaluator, self.network, self.path = evaluator, network, path

    def attach(self, trainer: Engine) -> None:
        """Look at the end of every epoch whether it is the last."""
        trainer.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, trainer: Engine) -> None:
        """Validate or save after the last epoch."""
        if trainer.state.epoch < trainer.state.max_epochs:
            return
        if not len(self.evaluator.data_loader):
            logger.warning("no case to validate on: the weights of the last epoch are kept, good or bad")
            KeepWeights(self.network, self.path).save()
        elif self.evaluator.state.epoch != trainer.state.epoch:
            self.evaluator.run(trainer.state.epoch)


class ResumePoint:
    """After every epoch write all that the run needs to go on; read it back on request.

    Args:
        path: the file, ``models/checkpoint.pt``.
        parts: name -> object with ``state_dict`` and ``load_state_dict`` (network, optimizer, ...).
        evaluator: its best metric is part of the state.
        resume: read the file when the training starts.
    """

    def __init__(
        self, path: str | Path, *, parts: Mapping[str, Any], evaluator: Engine, resume: bool = False
    ) -> None:
        self.path, self.parts, self.evaluator, self.resume = Path(path), dict(parts), evaluator, resume
        self.scaler_state: dict[str, Any] | None = None

    def attach(self, trainer: Engine) -> None:
        """Restore before the first epoch; list this handler last, so that it saves what the others left."""
        trainer.add_event_handler(Events.STARTED, self._restore_scaler)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, self.save)
        if self.resume:
            self.restore(trainer)

    def _restore_scaler(self, trainer: Engine) -> None:
        """The gradient scaler of mixed precision, which the trainer makes after its handlers."""
        if self.scaler_state is not None and trainer.scaler is not None:
            trainer.scaler.load_state_dict(self.scaler_state)

    def save(self, trainer: Engine) -> None:
        """Write the state of the epoch that has just ended."""
        if get_rank() > 0:
            return
        state = {name: part.state_dict() for name, part in self.parts.items()}
        if trainer.scaler is not None:
            state["scaler"] = trainer.scaler.state_dict()
        if "network" in state:
            # MONAI Label offers every *.pt beside the weights, and loads nothing, silently, from a file
            # without this key.  The tensors are those of "network" and take no space of their own.
            state["model"] = state["network"]
        best = self.evaluator.state
        state["run"] = {
            "epoch": trainer.state.epoch,
            "iteration": trainer.state.iteration,
            "best_metric": float(best.best_metric),
            "best_metric_epoch": int(best.best_metric_epoch),
        }
        with atomic_path(self.path) as temporary:
            torch.save(state, temporary)

    def restore(self, trainer: Engine) -> None:
        """Read the state back.

        Raises:
            InputError: the file is damaged or of another network, or the run had ended.
        """
        if not self.path.is_file():
            logger.warning("%s is not there: nothing to resume, starting from the beginning", self.path)
            return
        state = read_checkpoint(self.path)
        if "run" not in state:
            raise InputError(
                f"{self.path}: not the state of a run; it holds {', '.join(map(str, state))[:200]}"
            )
        run, self.scaler_state = state["run"], state.get("scaler")
        if run["epoch"] >= trainer.state.max_epochs:
            raise InputError(
                f"{self.path}: this training ended after epoch {run['epoch']}; to go on give "
                f"--epochs with more than {run['epoch']}, to start anew leave --resume out"
            )
        for name, part in self.parts.items():
            try:
                part.load_state_dict(state[name])
            except (KeyError, RuntimeError, ValueError) as error:
                raise InputError(
                    f"{self.path}: its {name} does not fit this config ({str(error).splitlines()[0]}); "
                    "resume with the config that the run began with, or start anew without --resume"
                ) from error
        trainer.state.epoch, trainer.state.iteration = run["epoch"], run["iteration"]
        self.evaluator.state.best_metric = run["best_metric"]
        self.evaluator.state.best_metric_epoch = run["best_metric_epoch"]
        logger.info("resumed after epoch %d", run["epoch"])


class StrictCheckpointLoader:
    """Load ``models/model.pt`` when an engine starts, every key accounted for.

    The name matters: MONAI's FL client switches off the handlers called ``*CheckpointLoader``.

    Args:
        network: receives the weights.
        path: the bare state dict.
        bundle: named in the message when there are no weights.
    """

    def __init__(self, network: nn.Module, path: str | Path, *, bundle: str) -> None:
        self.network, self.path, self.bundle = network, path, bundle

    def attach(self, engine: Engine) -> None:
        """Load before the first case."""
        engine.add_event_handler(Events.STARTED, self)

    def __call__(self, _: Engine) -> None:
        """Load; an :class:`InputError` says what is missing."""
        load_weights(self.network, self.path, bundle=self.bundle)
