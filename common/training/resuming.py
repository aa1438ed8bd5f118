"""The state of a run, to resume from after an interruption."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ignite.distributed import get_rank
from ignite.engine import Engine, Events

from common.checkpoints.staging import WEIGHTS, staged
from common.checkpoints.writing import write_checkpoint
from common.errors import InputError
from common.training.run import TrainingRun
from common.training.run_state import read_run_state

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
        run: whose state it is; says whether to read the file when the training starts, and refuses one that
            is of another run.  By default a new run.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        parts: Mapping[str, Any],
        evaluator: Engine,
        run: TrainingRun | None = None,
    ) -> None:
        self.path, self.parts, self.evaluator = Path(path), dict(parts), evaluator
        self.run = run or TrainingRun(self.path.with_name(WEIGHTS))
        self.scaler_state: dict[str, Any] | None = None

    def attach(self, trainer: Engine) -> None:
        """Restore before the first epoch; from then on save last of all at the end of every epoch."""
        trainer.add_event_handler(Events.STARTED, self._restore_scaler)
        trainer.add_event_handler(Events.EPOCH_STARTED, self._come_last)
        if self.run.resume:
            self.restore(trainer)

    def _come_last(self, trainer: Engine) -> None:
        """Move the saving after every handler attached by now: ignite calls them in order."""
        if trainer.has_event_handler(self.save, Events.EPOCH_COMPLETED):
            trainer.remove_event_handler(self.save, Events.EPOCH_COMPLETED)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, self.save)

    def _restore_scaler(self, trainer: Engine) -> None:
        """The gradient scaler of mixed precision, which the trainer makes after its handlers."""
        if self.scaler_state is not None and trainer.scaler is not None:
            try:
                trainer.scaler.load_state_dict(self.scaler_state)
            except Exception as error:
                raise InputError(f"{self.path}: its scaler is damaged; start anew without resume") from error

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
            **self.run.state(),
        }
        path = self.run.place(self.path)
        write_checkpoint(path, state, kept=self._kept(path, trainer.state.epoch))

    @staticmethod
    def _kept(path: Path, epoch: int) -> str:
        if not path.is_file():
            return f"epoch {epoch} is lost: free some space and start again"
        return f"the state of an earlier epoch than {epoch} is kept: free some, go on with --resume true"

    def restore(self, trainer: Engine) -> None:
        """Read the state back.

        Raises:
            InputError: the file is damaged, of another run or another network, or the run had already ended.
        """
        path = staged(self.path) if staged(self.path).is_file() else self.path  # the later run's
        if not path.is_file():
            logger.warning("%s is not there: nothing to resume, starting from the beginning", path)
            return
        state = read_run_state(path)
        run, self.scaler_state = state["run"], state.get("scaler")
        if run["epoch"] >= trainer.state.max_epochs:
            raise InputError(
                f"{path}: this training ended after epoch {run['epoch']}; to go on give "
                f"--epochs with more than {run['epoch']}, to start anew leave --resume out"
            )
        self.run.take_up(run, path)
        for name, part in self.parts.items():
            try:
                part.load_state_dict(state[name])
            except Exception as error:  # each part raises what it likes about a state of another kind
                reason = (str(error).strip() or type(error).__name__).splitlines()[0]
                raise InputError(
                    f"{path}: its {name} does not fit this config ({reason}); "
                    "resume with the config that the run began with, or start anew without --resume"
                ) from error
        trainer.state.epoch, trainer.state.iteration = run["epoch"], run["iteration"]
        self.evaluator.state.best_metric = run["best_metric"]
        self.evaluator.state.best_metric_epoch = run["best_metric_epoch"]
        logger.info("resumed after epoch %d", run["epoch"])
