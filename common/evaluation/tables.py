"""Tables of metrics as CSV: one row per epoch, or one row per case and class."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, pstdev, stdev
from typing import Any

import torch
from ignite.distributed import get_rank, get_world_size
from ignite.engine import Engine, Events
from monai.utils import string_list_all_gather
from torch import Tensor

from common.datasets.lists.output_names import distinct_names
from common.errors import InputError
from common.files import write_text

__all__ = ["CaseTable", "format_table", "read_rows", "write_rows"]

Row = Mapping[str, Any]


def write_rows(path: str | Path, rows: Sequence[Row]) -> None:
    """Write rows as CSV, whole or not at all.

    The columns are those of the row with the most; what is missing or NaN becomes an empty cell.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(max(rows, key=len)), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: _cell(value) for key, value in row.items()})
    write_text(path, text.getvalue())


def _cell(value: Any) -> Any:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else value


def read_rows(path: str | Path, needed: Sequence[str] = ()) -> list[dict[str, float | None]]:
    """Read back a table of numbers; empty cells become None.

    Args:
        path: as :func:`write_rows` wrote it.
        needed: columns in which every row must have a finite number.

    Raises:
        InputError: it cannot be read, or a cell is no number, or empty where one is needed.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = [_numbers(row) for row in csv.DictReader(file)]
        for row in rows:
            lacking = [column for column in needed if not math.isfinite(row.get(column) or 0.0)]
            lacking += [column for column in needed if row.get(column) is None]
            if lacking:
                raise ValueError(f"a row without a number for {lacking[0]}")
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise InputError(
            f"{path}: cannot be read as a table of numbers ({error}); move it away, and the table begins anew"
        ) from error
    return rows


def _numbers(row: Mapping[str, str | None]) -> dict[str, float | None]:
    if None in row:
        raise ValueError("a row with more cells than the heading")
    return {column: float(cell) if cell else None for column, cell in row.items()}


def format_table(rows: Sequence[Row]) -> str:
    """Aligned text of rows that share their columns."""
    columns = list(rows[0])
    cells = [columns, *([str(_cell(row[c])) for c in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    return "\n".join(
        "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in cells
    )


def _spread(values: Sequence[float]) -> float:
    return stdev(values) if len(values) > 1 else math.nan


class CaseTable:
    """After an evaluation write ``<stem>_cases.csv`` (case, class, metrics) and ``<stem>_summary.csv``.

    Where cases name their ``domain``, ``<stem>_domains.csv`` has the same means for each domain, and
    a last row with the mean and standard deviation of the domains' means.

    The summary has mean, standard deviation and number of cases for each class, and a last row over
    the case means.  Before it, where a paper reports the first classes alone, stands the mean of their
    means, with their number.  Metrics are those that keep details (``save_details``), each (cases, K - 1).
    Cases are sorted by path, however many processes measured them; the first process writes.  Each case has
    a name of its own (:func:`common.datasets.lists.output_names.distinct_names`).

    Args:
        folder: where to write.
        names: class number -> name, for the classes without background.
        stem: start of the file names.
        show: print the summary.
        metrics: names of the metrics in these tables, with equal numbers of classes; all by default.
        reported: how many classes, from the first, the paper averages over; None: no such row.
        population: the summary's standard deviation is that of the population (divided by the number of
            cases) instead of the sample's.
    """

    def __init__(
        self,
        folder: str | Path,
        names: Mapping[int, str],
        *,
        stem: str = "evaluation",
        show: bool = True,
        metrics: Sequence[str] | None = None,
        reported: int | None = None,
        population: bool = False,
    ) -> None:
        self.folder, self.names, self.stem, self.show = Path(folder), dict(names), stem, show
        self.metrics, self.reported, self.population = metrics, reported, population
        self.cases: list[str] = []
        self.domains: list[str] = []

    def attach(self, evaluator: Engine) -> None:
        """Collect case names during the epoch, write at its end."""
        evaluator.add_event_handler(Events.EPOCH_STARTED, self.start)
        evaluator.add_event_handler(Events.ITERATION_COMPLETED, self.collect)
        evaluator.add_event_handler(Events.EPOCH_COMPLETED, self.write)

    def start(self, _: Engine) -> None:
        """Forget an earlier evaluation."""
        self.cases, self.domains = [], []

    def collect(self, evaluator: Engine) -> None:
        """Note the files of the batch."""
        for given, case in zip(evaluator.state.batch, evaluator.state.output, strict=True):
            self.cases.append(case["image"].meta["filename_or_obj"])
            self.domains.append(str(given.get("domain", "")))

    def write(self, evaluator: Engine) -> None:
        """Write both tables."""
        # Metrics gather their values by themselves, process after process; so must the names.
        cases, domains = (string_list_all_gather(names) for names in (self.cases, self.domains))
        if get_rank() > 0:
            return
        if get_world_size() > 1 and len(self.cases) == len(evaluator.data_loader.dataset):
            # every process measured all (common.processes.share)
            cases, domains = cases[: len(self.cases)], domains[: len(self.cases)]
        order = sorted(range(len(cases)), key=cases.__getitem__)
        cases, domains = [cases[i] for i in order], [domains[i] for i in order]
        kept = evaluator.state.metric_details
        lacking = [name for name in self.metrics or () if name not in kept]
        if lacking:
            raise ValueError(
                f"CaseTable: nothing computes {', '.join(lacking)}; expected of {', '.join(kept)}"
            )
        details = {name: torch.as_tensor(kept[name])[order] for name in self.metrics or kept}
        rows = [
            {"case": case, "class": c, "name": self.names.get(c, f"class {c}")}
            | {metric: float(values[i, c - 1]) for metric, values in details.items()}
            for i, case in enumerate(distinct_names(cases))
            for c in range(1, next(iter(details.values())).shape[1] + 1)
        ]
        summary = self._summary(details)
        write_rows(self.folder / f"{self.stem}_cases.csv", rows)
        write_rows(self.folder / f"{self.stem}_summary.csv", summary)
        if any(domains):
            write_rows(self.folder / f"{self.stem}_domains.csv", self._by_domain(details, domains))
        if self.show:
            print(format_table(summary))

    def _by_domain(self, details: Mapping[str, Tensor], domains: Sequence[str]) -> list[dict[str, Any]]:
        """One row per domain: its mean of each metric over classes and cases, by class, and the spread."""
        rows = []
        for domain in dict.fromkeys(domains):
            chosen = [i for i, name in enumerate(domains) if name == domain]
            row: dict[str, Any] = {"domain": domain, "cases": len(chosen)}
            for metric, values in details.items():
                row[metric] = float(torch.nanmean(values[chosen].double()))
                for c, mean in enumerate(torch.nanmean(values[chosen].double(), dim=0).tolist(), start=1):
                    row[f"{metric}_{self.names.get(c, f'class {c}')}"] = mean
            rows.append(row)
        columns = [key for key in rows[0] if key not in ("domain", "cases")]
        for name, reduce in (("mean over domains", fmean), ("sd over domains", _spread)):
            values = {
                key: reduce([row[key] for row in rows[: len(dict.fromkeys(domains))]]) for key in columns
            }
            rows.append({"domain": name, "cases": len(domains)} | values)
        return rows

    def _spread(self, values: Sequence[float]) -> float:
        return pstdev(values) if self.population and values else _spread(values)

    def _summary(self, details: Mapping[str, Tensor]) -> list[dict[str, Any]]:
        columns = next(iter(details.values())).shape[1]
        series = [
            (self.names.get(c, f"class {c}"), lambda v, c=c: v[:, c - 1]) for c in range(1, columns + 1)
        ]
        if self.reported is not None:
            number = min(self.reported, columns)
            means = lambda v: torch.nanmean(v[:, :number], dim=0)  # noqa: E731
            series.append((f"mean of the first {number} classes", means))
        series.append(("mean over classes", lambda v: torch.nanmean(v, dim=1)))
        rows = []
        for name, pick in series:
            row: dict[str, Any] = {"name": name}
            for metric, values in details.items():
                found = [x for x in pick(values).tolist() if not math.isnan(x)]
                row[f"{metric}_mean"] = fmean(found) if found else math.nan
                row[f"{metric}_sd"] = self._spread(found)
                row[f"{metric}_cases"] = len(found)
            rows.append(row)
        return rows
