r"""Mirroring left and right with and without an exchange of paired labels, and none: equal data and CPU time.

    python -m benchmarks.comparisons.paired_flips train DIR --method none --minutes 15 --target OUT
    python -m benchmarks.comparisons.paired_flips train DIR --method exchanged --minutes 15 --target OUT
    python -m benchmarks.comparisons.paired_flips train DIR --method plain --minutes 15 --target OUT
    python -m benchmarks.comparisons.paired_flips report --target OUT

``train`` runs segrap2023's train.json until the process has used its CPU time, takes the weights of the last
iteration (nothing is selected, so no case is held out), and scores them on the test list with evaluate.json:
Dice and surface Dice (``nsd``) of the organs.  The learning rate falls with the used share of the time.
``plain`` mirrors the labels as they are, so that a left organ becomes a left one on the right.  Repeat with
``--seed 1``, ``--seed 2``; ``report`` prints one line for each method: the means over paired organs, over
those without a twin, and over all.

Source: segrap2023/docs/method.md#mirroring.
"""

from __future__ import annotations

from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from benchmarks.comparisons.budget import budget_overlay, train_method
from benchmarks.comparisons.summaries import runs_of_method
from common.commands import run_commands
from common.datasets.raw.segrap_classes import ORGANS
from common.errors import InputError
from common.evaluation.tables import format_table

#: Method -> what differs from train.json.
METHODS: dict[str, dict[str, Any]] = {
    "none": {},
    "exchanged": {"paired_flips": True},
    "plain": {"paired_flips": True, "paired_flip#pairs": []},
}
METRICS = ("dice", "nsd")
_PAIRED = [name for name in ORGANS if name.endswith(("_L", "_R"))]
_GROUPS = {"paired": _PAIRED, "single": [n for n in ORGANS if n not in _PAIRED], "all": list(ORGANS)}


def train(
    dataset_dir: str,
    *,
    method: str,
    target: str,
    minutes: float = 15,
    seed: int = 0,
    **overrides: Any,
) -> None:
    """Train one method within the CPU time, then evaluate it on the test list.

    Args:
        dataset_dir: Decathlon-style folder with pairs of CT and the 54 classes.
        method: one of ``METHODS``.
        target: results go to ``<target>/<method>/seed<seed>``.
        minutes: CPU time of the training.
        seed: of weights and patches.
        overrides: further keys of train.json, such as ``--iterations_per_epoch 5``.
    """
    schedule = {
        "lr_scheduler": {
            "_target_": "torch.optim.lr_scheduler.LambdaLR",
            "optimizer": "@optimizer",
            "lr_lambda": "$@budget.learning_rate_factor",
        }
    }
    overlay = budget_overlay(minutes, **schedule, holdout=0)
    train_method(
        "segrap2023",
        METHODS,
        overlay,
        method=method,
        dataset_dir=dataset_dir,
        target=target,
        seed=seed,
        overrides=overrides,
    )


def report(*, target: str) -> str:
    """The table of all methods under ``target``.

    Every number is the mean over the test cases, then over organs, then over the seeds; ``dice_sd`` is the
    deviation between the seeds' means over paired organs.

    Args:
        target: where ``train`` wrote.
    """
    rows = [row for method in METHODS if (row := _row(method, Path(target)))]
    if not rows:
        raise InputError(f"{target}: holds no results; train something there first")
    return format_table(rows)


def _row(method: str, target: Path) -> dict[str, Any] | None:
    runs = runs_of_method(method, target)
    if not runs:
        return None
    row: dict[str, Any] = {"method": method, "seeds": len(runs)}
    means: dict[str, list[float]] = {}
    for metric in METRICS:
        for group, names in _GROUPS.items():
            means[f"{metric}_{group}"] = [
                fmean(float(scores[name][f"{metric}_mean"]) for name in names) for _, scores in runs
            ]
    row |= {column: fmean(values) for column, values in means.items()}
    row["dice_sd"] = stdev(means["dice_paired"]) if len(runs) > 1 else None
    row["iterations"] = round(fmean(facts["iterations"] for facts, _ in runs))
    row["cpu_minutes"] = round(fmean(facts["cpu_minutes"] for facts, _ in runs), 1)
    return row


if __name__ == "__main__":
    run_commands({"train": train, "report": report}, name="python -m benchmarks.comparisons.paired_flips")
