"""One row for each method from the runs of several seeds that ``evaluate.json`` scored."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from common.errors import InputError
from common.evaluation.tables import format_table

__all__ = ["runs_of_method", "table_of_methods"]

Run = tuple[dict[str, Any], dict[str, dict[str, str]]]


def table_of_methods(methods: Iterable[str], metrics: Sequence[str], target: str | Path) -> str:
    """The table of all methods with runs under ``target``.

    Every number is the mean over the test cases, then over the seeds; ``<first metric>_sd`` is the deviation
    between the seeds' means.

    Args:
        methods: names of folders below ``target``; in them, ``seed<n>/facts.json`` and
            ``seed<n>/eval/evaluation_summary.csv``.
        metrics: columns of the summary, without ``_mean``.
        target: folder.

    Raises:
        InputError: there are no runs.
    """
    rows = [row for method in methods if (row := _row(method, metrics, Path(target)))]
    if not rows:
        raise InputError(f"{target}: holds no results; train something there first")
    return format_table(rows)


def runs_of_method(method: str, target: str | Path) -> list[Run]:
    """The facts of each run of a method, and its rows of ``evaluation_summary.csv`` by structure."""
    runs = []
    for file in sorted((Path(target) / method).glob("seed*/facts.json")):
        with open(file.parent / "eval" / "evaluation_summary.csv", newline="") as table:
            scores = {row["name"]: row for row in csv.DictReader(table)}
        runs.append((json.loads(file.read_text()), scores))
    return runs


def _row(method: str, metrics: Sequence[str], target: Path) -> dict[str, Any] | None:
    runs = runs_of_method(method, target)
    if not runs:
        return None
    row: dict[str, Any] = {"method": method, "seeds": len(runs)}
    for structure in runs[0][1]:
        name = "mean" if structure == "mean over classes" else structure
        for metric in metrics:
            row[f"{metric}_{name}"] = fmean(float(scores[structure][f"{metric}_mean"]) for _, scores in runs)
    means = [float(scores["mean over classes"][f"{metrics[0]}_mean"]) for _, scores in runs]
    row[f"{metrics[0]}_sd"] = stdev(means) if len(means) > 1 else None
    row["iterations"] = round(fmean(facts["iterations"] for facts, _ in runs))
    row["cpu_minutes"] = round(fmean(facts["cpu_minutes"] for facts, _ in runs), 1)
    return row
