"""The tables and pictures of a sweep and of a recovery."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.distributed import all_reduce, get_rank
from ignite.engine import Engine, Events
from matplotlib.figure import Figure

from common.checkpoints.staging import WEIGHTS
from common.evaluation.drawing.figure_file import save_figure
from common.evaluation.tables import format_table, read_rows, write_rows
from common.training.preview import FirstCases
from common.training.run import TrainingRun
from divsbl.sweep import BlockSizeSweep

__all__ = ["SignalPreview", "SweepHistory", "draw_signals", "draw_sweep"]


class SweepHistory:
    """``metrics.csv`` with a row per block size, and ``curves.png``: NMSE against block size.

    Columns: epoch, block_size, seconds, loss (mean error of the network on the training signals), nmse_NAME
    and sd_NAME of every method on them (over signals; square roots if the sweep takes them), and the
    validation's metrics.

    Args:
        evaluator: source of the metrics; it must run before this handler (list the validation first).
        folder: where to write.
        run: whose history it is; one that is resumed continues its table.  By default a new run.
    """

    def __init__(self, evaluator: Engine, folder: str | Path, *, run: TrainingRun | None = None) -> None:
        self.evaluator, self.folder = evaluator, Path(folder)
        self.run = run or TrainingRun(self.folder / WEIGHTS)
        self.rows: list[dict] = []
        self.sums: dict[str, torch.Tensor] = {}
        self.started, self.seconds_before = 0.0, 0.0

    def attach(self, trainer: BlockSizeSweep) -> None:
        """Follow the sweep."""
        trainer.add_event_handler(Events.STARTED, self.start)
        trainer.add_event_handler(Events.ITERATION_COMPLETED, self.add)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, self.write)
        trainer.add_event_handler(Events.COMPLETED, self.show)

    def start(self, trainer: BlockSizeSweep) -> None:
        """Open the table, keeping the rows up to the epoch from which the run continues."""
        table = self.run.place(self.folder / "metrics.csv")
        if self.run.resume and table.is_file():
            rows = read_rows(table, needed=("epoch", "seconds"))
            self.rows = [row for row in rows if row["epoch"] <= trainer.state.epoch]
        self.seconds_before = self.rows[-1]["seconds"] if self.rows else 0.0
        self.started = time.monotonic()

    def add(self, trainer: BlockSizeSweep) -> None:
        """Add an iteration's signals: count, sum and sum of squares of each method's errors."""
        for name, values in trainer.state.output["errors"].items():
            found = values[~values.isnan()].cpu()
            added = torch.stack([torch.tensor(len(found)).double(), found.sum(), found.square().sum()])
            self.sums[name] = self.sums.get(name, torch.zeros(3, dtype=torch.float64)) + added

    def write(self, trainer: BlockSizeSweep) -> None:
        """Write the table and the curves."""
        means = {name: _mean_and_sd(all_reduce(sums)) for name, sums in self.sums.items()}
        self.sums = {}
        row = {
            "epoch": trainer.state.epoch,
            "block_size": trainer.block_size,
            "seconds": self.seconds_before + time.monotonic() - self.started,
            "loss": means[trainer.network_name][0],
        }
        for name in (trainer.network_name, *trainer.baselines):
            # A method that uses no block size was measured once, in the first epoch.
            first = self.rows[0] if self.rows else {}
            mean, sd = means.get(name) or (first.get(f"nmse_{name}"), first.get(f"sd_{name}"))
            row |= {f"nmse_{name}": mean, f"sd_{name}": sd}
        state = self.evaluator.state
        if state.epoch == trainer.state.epoch:
            row |= {name: float(value) for name, value in state.metrics.items()}
        self.rows.append(row)
        if get_rank() == 0:
            write_rows(self.run.place(self.folder / "metrics.csv"), self.rows)
            measured = "root NMSE" if trainer.root else "NMSE"
            draw_sweep(self.rows, self.run.place(self.folder / "curves.png"), measured=measured)

    def show(self, _: BlockSizeSweep) -> None:
        """Print the table."""
        if get_rank() == 0 and self.rows:
            columns = [c for c in self.rows[0] if c == "block_size" or c.startswith(("nmse_", "sd_"))]
            print(format_table([{c: _rounded(row[c]) for c in columns} for row in self.rows]))


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def _mean_and_sd(sums: torch.Tensor) -> tuple[float, float | None]:
    n, total, squares = sums.tolist()
    mean = total / n if n else float("nan")
    return mean, max(squares - n * mean * mean, 0.0) ** 0.5 / (n - 1) ** 0.5 if n > 1 else None


def draw_sweep(rows: list[dict], path: str | Path, *, measured: str = "NMSE") -> None:
    """NMSE of every method against the preset block size, with bars of one standard deviation over signals.

    Args:
        rows: of ``metrics.csv``.
        path: PNG to write.
        measured: what the errors are.
    """
    figure = Figure(figsize=(7, 4.5), layout="constrained", facecolor="white")
    axis = figure.subplots()
    rows = sorted(rows, key=lambda row: row["block_size"])
    sizes = [row["block_size"] for row in rows]
    for column in (c for c in rows[0] if c.startswith("nmse_")):
        values = [row[column] for row in rows]
        sd = [row[f"sd_{column.removeprefix('nmse_')}"] or 0 for row in rows]
        axis.errorbar(sizes, values, sd, marker="o", capsize=3, label=column.removeprefix("nmse_"))
    if rows[0].get("nmse") is not None:
        axis.plot(sizes, [row.get("nmse") for row in rows], "k:", label="validation")
    axis.set(xlabel="preset block size", ylabel=f"{measured} (mean, sd over signals)", xticks=sizes)
    axis.set_ylim(bottom=0)
    axis.grid(alpha=0.3)
    axis.legend()
    save_figure(figure, path)


def draw_signals(cases: list[dict], path: str | Path, *, title: str = "") -> None:
    """One row per case, the truth beside the recovered signal; signals as lines, pictures as pictures.

    Args:
        cases: dicts with ``name`` and ``pred`` (N, W), perhaps ``label`` (N, W).
        path: PNG to write.
        title: of the figure.
    """
    wide = cases[0]["pred"].shape[1] > 8  # the columns of a picture, not the leads of a recording
    figure = Figure(figsize=(8, 2.6 * len(cases) + 0.4), layout="constrained", facecolor="white")
    axes = figure.subplots(len(cases), 2 if wide else 1, squeeze=False)
    for case, line in zip(cases, axes, strict=True):
        shown = [(key, case[key]) for key in ("label", "pred") if key in case]
        words = {"label": "true", "pred": "recovered"}
        if wide:
            limits = {"vmin": min(v.min() for _, v in shown), "vmax": max(v.max() for _, v in shown)}
            for axis in line:
                axis.set_axis_off()
            for axis, (key, values) in zip(line, shown, strict=False):
                axis.imshow(values, cmap="gray", **limits)
                axis.set_title(f"{case['name']}: {words[key]}", fontsize=9)
        else:
            for key, values in shown:
                style = {"color": "0.6", "lw": 3} if key == "label" else {"color": "C3", "lw": 1}
                line[0].plot(values, **style)
                line[0].plot([], label=words[key], **style)
            line[0].set_title(case["name"], fontsize=9)
            line[0].legend(fontsize=8)
    figure.suptitle(title, fontsize=10)
    save_figure(figure, path)


class SignalPreview(FirstCases):
    """The first cases of an evaluation: the recovered signals, and the truth where it is known."""

    def __init__(self, path: str | Path, *, cases: int = 3, only_best: bool = False) -> None:
        super().__init__(path, cases=cases, only_best=only_best)

    def part(self, case: Mapping[str, Any]) -> dict[str, np.ndarray | str]:
        """The case's name and signals."""
        arrays = {k: case[k][0].cpu().numpy() for k in ("label", "pred") if case.get(k) is not None}
        return {"name": Path(case["image"].meta["filename_or_obj"]).stem, **arrays}

    def picture(self, kept: Sequence[dict[str, np.ndarray | str]], epoch: int) -> None:
        """One row per case; see :func:`draw_signals`."""
        draw_signals(list(kept), self.path)
