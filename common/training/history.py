"""The history of a run: ``metrics.csv`` and ``curves.png``, kept up to date."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import torch
from ignite.distributed import all_reduce, get_rank
from ignite.engine import Engine, Events

from common.checkpoints.staging import WEIGHTS
from common.evaluation.drawing.curves import draw_curves
from common.evaluation.drawing.optional import optional_picture
from common.evaluation.tables import read_rows, write_rows
from common.training.run import TrainingRun

__all__ = ["RunHistory"]


class RunHistory:
    """One row per epoch: seconds, learning rate, mean loss, and what the validation measured.

    Args:
        evaluator: its metrics are recorded; it has to run before this handler (list the validation first).
        folder: where ``metrics.csv`` and ``curves.png`` go.
        names: class number -> name, without background.
        run: whose history it is; one that is resumed goes on with its table.  By default a new run.
    """

    def __init__(
        self,
        evaluator: Engine,
        folder: str | Path,
        names: Mapping[int, str],
        *,
        run: TrainingRun | None = None,
    ) -> None:
        self.evaluator, self.folder, self.names = evaluator, Path(folder), dict(names)
        self.run = run or TrainingRun(self.folder / WEIGHTS)
        self.rows: list[dict] = []
        self.loss_sum, self.losses, self.started = 0.0, 0, 0.0
        self.seconds_before = 0.0

    def attach(self, trainer: Engine) -> None:
        """Follow the trainer."""
        trainer.add_event_handler(Events.STARTED, self.start)
        trainer.add_event_handler(Events.ITERATION_COMPLETED, self.add_loss)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, self.add_row)

    def start(self, trainer: Engine) -> None:
        """Open the table, with the rows up to the epoch from which the run goes on."""
        table = self.run.place(self.folder / "metrics.csv")
        if self.run.resume and table.is_file():
            rows = read_rows(table, needed=("epoch", "seconds"))
            self.rows = [row for row in rows if row["epoch"] <= trainer.state.epoch]
        self.seconds_before = self.rows[-1]["seconds"] if self.rows else 0.0
        self.started = time.monotonic()

    def add_loss(self, trainer: Engine) -> None:
        """Add the iteration's loss to the epoch's mean."""
        output = trainer.state.output[0] if isinstance(trainer.state.output, list) else trainer.state.output
        self.loss_sum += output["loss"].item()
        self.losses += 1

    def add_row(self, trainer: Engine) -> None:
        """Write the table and the curves."""
        row: dict = {
            "epoch": trainer.state.epoch,
            "seconds": self.seconds_before + time.monotonic() - self.started,
            "learning_rate": trainer.optimizer.param_groups[0]["lr"],
            "loss": self._mean_loss(),
        }
        self.loss_sum, self.losses = 0.0, 0
        self.rows.append(row | self._validation(trainer.state.epoch))
        if get_rank() > 0:
            return
        write_rows(self.run.place(self.folder / "metrics.csv"), self.rows)
        key = self.evaluator.state.key_metric_name
        panels = {"loss": ["loss"], key: [key, *(f"{key}_{name}" for name in self.names.values())]}
        panels |= {name: [name] for name in self.evaluator.state.metrics if name != key}
        with optional_picture(self.folder / "curves.png"):
            draw_curves(self.rows, self.run.place(self.folder / "curves.png"), panels)

    def _mean_loss(self) -> float:
        """Over the iterations of all processes."""
        total, count = all_reduce(torch.tensor([self.loss_sum, self.losses], dtype=torch.float64)).tolist()
        return total / max(count, 1)

    def _validation(self, epoch: int) -> dict[str, float]:
        """Metrics of this epoch's validation; nothing where there was none."""
        state, key = self.evaluator.state, self.evaluator.state.key_metric_name
        if state.epoch != epoch or not state.metrics:
            return {}
        classes = torch.nanmean(torch.as_tensor(state.metric_details[key]).double(), dim=0).tolist()
        return {name: float(value) for name, value in state.metrics.items()} | {
            f"{key}_{name}": classes[c - 1] for c, name in self.names.items()
        }
