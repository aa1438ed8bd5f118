r"""Nested regions beside classes, and two stages beside one, on KiTS21's labels: equal data and CPU time.

    python -m benchmarks.comparisons.nested_regions train DIR --method coarse_to_fine --minutes 20 \
        --target OUT
    python -m benchmarks.comparisons.nested_regions train DIR --method softmax --minutes 20 \
        --target OUT
    python -m benchmarks.comparisons.nested_regions train DIR --method one_stage --minutes 20 \
        --target OUT
    python -m benchmarks.comparisons.nested_regions report \
        --target OUT

``train`` runs kits21's train.json until the process has used its CPU time, takes the weights of the last
iteration (nothing is selected, so no case is held out), and scores them on the test list with evaluate.json.
The learning rate falls with the used share of the time.  Repeat with ``--seed 1``, ``--seed 2``; ``report``
prints one line for each method.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from benchmarks.comparisons.budget import budget_overlay, run_settings, train_and_score
from common.commands import run_commands
from common.errors import InputError
from common.evaluation.tables import format_table
from common.files import write_json

#: Method -> what differs from train.json.
METHODS: dict[str, dict[str, Any]] = {
    "coarse_to_fine": {},
    "softmax": {"softmax": True},
    "one_stage": {"network_def#_target_": "kits21.network.RegionUNet"},
    "one_stage_softmax": {"network_def#_target_": "kits21.network.RegionUNet", "softmax": True},
}
METRICS = ("dice", "surface_dice")


def train(
    dataset_dir: str,
    *,
    method: str,
    target: str,
    minutes: float = 20,
    seed: int = 0,
    **overrides: Any,
) -> None:
    """Train one method within the CPU time, then evaluate it on the test list.

    Args:
        dataset_dir: Decathlon-style folder with nested labels.
        method: one of ``METHODS``.
        target: results go to ``<target>/<method>/seed<seed>``.
        minutes: CPU time of the training.
        seed: of weights and patches.
        overrides: further keys of train.json, such as ``--iterations_per_epoch 5``.
    """
    if method not in METHODS:
        raise InputError(f"method {method}: unknown; expected one of: {', '.join(METHODS)}")
    folder = Path(target).absolute() / method / f"seed{seed}"
    decay = {"lr_scheduler#lr_lambda": "$@budget.learning_rate_factor"}
    overlay = budget_overlay(minutes, **decay, **{"datalist#holdout": 0})
    settings = run_settings(dataset_dir, folder, seed) | METHODS[method] | overrides
    _, facts = train_and_score("kits21", folder, overlay, settings)
    write_json(folder / "facts.json", {"method": method, "seed": seed, **facts})


def report(*, target: str) -> str:
    """The table of all methods under ``target``.

    Every number is the mean over the test cases, then over the seeds; ``dice_sd`` is the deviation between
    the seeds' means.

    Args:
        target: where ``train`` wrote.
    """
    rows = [row for method in METHODS if (row := _row(method, Path(target)))]
    if not rows:
        raise InputError(f"{target}: holds no results; train something there first")
    return format_table(rows)


def _row(method: str, target: Path) -> dict[str, Any] | None:
    runs = []
    for file in sorted((target / method).glob("seed*/facts.json")):
        with open(file.parent / "eval" / "evaluation_summary.csv", newline="") as table:
            scores = {row["name"]: row for row in csv.DictReader(table)}
        runs.append((json.loads(file.read_text()), scores))
    if not runs:
        return None
    row: dict[str, Any] = {"method": method, "seeds": len(runs)}
    for region in runs[0][1]:
        name = "mean" if region == "mean over classes" else region
        for metric in METRICS:
            row[f"{metric}_{name}"] = fmean(float(scores[region][f"{metric}_mean"]) for _, scores in runs)
    means = [float(scores["mean over classes"]["dice_mean"]) for _, scores in runs]
    row["dice_sd"] = stdev(means) if len(means) > 1 else None
    row["iterations"] = round(fmean(facts["iterations"] for facts, _ in runs))
    row["cpu_minutes"] = round(fmean(facts["cpu_minutes"] for facts, _ in runs), 1)
    return row


if __name__ == "__main__":
    run_commands({"train": train, "report": report}, name="python -m benchmarks.comparisons.nested_regions")
