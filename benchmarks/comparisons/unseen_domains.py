r"""Random feature styles and plain training, scored on an unseen domain: equal data and CPU time.

    python -m benchmarks.comparisons.unseen_domains train DIR --style trid --held_out E \
        --minutes 10 --target OUT
    python -m benchmarks.comparisons.unseen_domains train DIR --style none --held_out E \
        --minutes 10 --target OUT
    python -m benchmarks.comparisons.unseen_domains report --target OUT

``train`` runs trid's train.json on all domains of DIR but one until the process has used its CPU time, takes
the weights of the last iteration (nothing is selected), and scores them on all cases of the domain held out.
The learning rate falls with the used share of the time, as the paper's falls with the epochs.  Repeat for
other domains and ``--seed 1``, ``--seed 2``; ``report`` prints one line for each style.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from benchmarks.comparisons.budget import budget_overlay, run_settings, train_and_score
from common.commands import run_commands
from common.datasets import domains_of, read_datalist
from common.errors import InputError
from common.evaluation.tables import format_table
from common.files import write_json

STYLES = ("none", "mixstyle", "efdmix", "trid")


def train(
    dataset_dir: str,
    *,
    style: str,
    held_out: str,
    target: str,
    minutes: float = 10,
    seed: int = 0,
    **overrides: Any,
) -> None:
    """Train on all domains but one within the CPU time, then score that one.

    Args:
        dataset_dir: Decathlon-style folder whose cases name their ``domain``.
        style: "trid", "mixstyle", "efdmix", or "none" for plain training.
        held_out: the domain to score.
        target: results go to ``<target>/<style>/<held_out>_seed<seed>``.
        minutes: CPU time of the training.
        seed: of weights, batches and styles.
        overrides: further keys of train.json, such as ``--image_size "[128,128]"``.
    """
    if style not in STYLES:
        raise InputError(f"style {style}: unknown; expected one of: {', '.join(STYLES)}")
    domains = domains_of(dataset_dir, read_datalist(dataset_dir, holdout=0))
    if held_out not in domains:
        raise InputError(f"held_out {held_out}: no such domain; expected one of: {', '.join(domains)}")
    folder = Path(target).absolute() / style / f"{held_out}_seed{seed}"
    decay = {"lr_scheduler#lr_lambda": "$@budget.learning_rate_factor"}
    overlay = budget_overlay(minutes, **decay, **{"datalist#holdout": 0})
    settings = {
        **run_settings(dataset_dir, folder, seed),
        "source_domains": [domain for domain in domains if domain != held_out],
        "network_def#style": style,
        **overrides,
    }
    _, facts = train_and_score("trid", folder, overlay, settings)
    write_json(folder / "facts.json", {"style": style, "held_out": held_out, "seed": seed, **facts})


def report(*, target: str) -> str:
    """The table of all styles under ``target``.

    Each metric is the mean over a domain's cases, then over the domains and seeds; ``sd`` is the deviation
    between the runs of a style.

    Args:
        target: where ``train`` wrote.
    """
    rows = [row for style in STYLES if (row := _row(style, Path(target)))]
    if not rows:
        raise InputError(f"{target}: holds no results; train something there first")
    return format_table(rows)


def _row(style: str, target: Path) -> dict[str, Any] | None:
    runs = []
    for file in sorted((target / style).glob("*_seed*/facts.json")):
        facts = json.loads(file.read_text())
        with open(file.parent / "eval" / "evaluation_domains.csv", newline="") as table:
            scored = {row["domain"]: row for row in csv.DictReader(table)}
        runs.append(facts | scored[facts["held_out"]])
    if not runs:
        return None
    dice = [float(run["dice"]) for run in runs]
    return {
        "style": style,
        "held_out": "+".join(sorted({run["held_out"] for run in runs})),
        "runs": len(runs),
        "dice": fmean(dice),
        "dice_sd": stdev(dice) if len(dice) > 1 else None,
        "asd_pixels": fmean(float(run["asd_pixels"]) for run in runs),
        "iterations": round(fmean(run["iterations"] for run in runs)),
        "cpu_minutes": round(fmean(run["cpu_minutes"] for run in runs), 1),
    }


if __name__ == "__main__":
    run_commands({"train": train, "report": report}, name="python -m benchmarks.comparisons.unseen_domains")
