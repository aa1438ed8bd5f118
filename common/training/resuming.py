"""The state of a run, to resume from after an interruption."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ignite.distributed import get_rank
from ignite.engine import Engine, Events

from common.checkpoints.store import read_checkpoint
from common.checkpoints.writing import write_checkpoint
from common.errors import InputError

__all__ = ["ResumePoint"]

logger = logging.getLogger(__name__)


class ResumePoint:
    """After every epoch, write everything the run needs to go on; read it back on request.

    It saves after all other handlers of the epoch's end, wherever it is listed, so that the file holds what
    they left.

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
        """Restore before the first epoch; from then on save last of all at the end of every epoch."""
        trainer.add_event_handler(Events.STARTED, self._restore_scaler)
        trainer.add_event_handler(Events.EPOCH_STARTED, self._come_last)
        if self.resume:
            self.restore(trainer)

    def _come_last(self, trainer: Engine) -> None:
        """Move the saving after every handler attached by now: ignite calls them in order."""
        if trainer.has_event_handler(self.save, Events.EPOCH_COMPLETED):
            trainer.remove_event_handler(self.save, Events.EPOCH_COMPLETED)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, self.save)

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
            # MONAI Label offers every *.pt beside the weights, and silently loads nothing from a file
            # without this key.  The tensors are those of "network" and take no extra space.
            state["model"] = state["network"]
        best = self.evaluator.state
        state["run"] = {
            "epoch": trainer.state.epoch,
            "iteration": trainer.state.iteration,
            "best_metric": float(best.best_metric),
            "best_metric_epoch": int(best.best_metric_epoch),
        }
        write_checkpoint(self.path, state, kept=self._kept(trainer.state.epoch))

    def _kept(self, epoch: int) -> str:
        if not self.path.is_file():
            return f"epoch {epoch} is lost: free some space and start again"
        return f"the state of an earlier epoch than {epoch} is kept: free some, go on with --resume true"

    def restore(self, trainer: Engine) -> None:
        """Read the state back.

        Raises:
            InputError: the file is damaged or of another network, or the run had already ended.
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
