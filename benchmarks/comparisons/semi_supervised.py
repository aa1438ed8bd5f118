"""Semi-supervised methods and the same network with the same labels alone: equal data and CPU time.

    python -m benchmarks.comparisons.semi_supervised train DIR --method vnet --minutes 20 --target OUT
    python -m benchmarks.comparisons.semi_supervised train DIR --method mcnet_plus --minutes 20 --target OUT
    python -m benchmarks.comparisons.semi_supervised report --target OUT

``train`` runs the bundle's own train.json until the process has used its CPU time, takes the weights of
the last iteration (nothing is selected, so no case is held out), and scores them on the test list with
evaluate.json.  The learning rate is the same constant for all; MC-Net+'s ramp-up follows the used share of
the time instead of iterations.
Repeat with ``--seed 1``, ``--seed 2``; ``report`` prints one line for each method.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from ignite.engine import Engine

from benchmarks.comparisons.budget import CpuBudget, budget_overlay, run_settings, train_and_score
from common.commands import run_commands
from common.errors import InputError
from common.evaluation.tables import format_table
from common.files import write_json
from common.tensors.plain import plain

#: Method -> the bundle whose recipe it is, and what differs from its train.json.
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "vnet": ("mcnet_plus", {"upsamplings": ["transposed"], "num_unlabelled": 0}),
    "mcnet": ("mcnet_plus", {"upsamplings": ["transposed", "trilinear"]}),
    "mcnet_plus": ("mcnet_plus", {}),
    "mcnet_plus_unsharpened": ("mcnet_plus", {"temperature": 1.0}),
    "mcnet_plus_apart": (  # three decoders that need not agree
        "mcnet_plus",
        {"ramp_up": {"_target_": "common.training.ramp_up.SigmoidRampUp", "largest": 0.0}},
    ),
    "lefed": ("lefed", {}),
    "lefed_one_pass": ("lefed", {"passes": 1}),
}
METRICS = ("dice", "jaccard", "hd95_voxels", "asd_voxels")


class BudgetRampUp:
    """MC-Net+'s ramp-up in used time: full weight after 40 % of it (6000 of 15 000 iterations).

    Args:
        budget: of the training.
        largest: weight at the end.
    """

    def __init__(self, budget: CpuBudget, *, largest: float = 1.0) -> None:
        self.budget, self.largest = budget, largest

    def __call__(self, _: int) -> float:
        """The weight now."""
        return self.largest * math.exp(-5 * (1 - min(self.budget.used() / 0.4, 1)) ** 2)


def train(
    dataset_dir: str,
    *,
    method: str,
    target: str,
    minutes: float = 20,
    seed: int = 0,
    evaluation: Mapping[str, Any] | None = None,
    **overrides: Any,
) -> None:
    """Train one method within the CPU time, then evaluate it on the test list.

    Args:
        dataset_dir: Decathlon-style folder.
        method: one of ``METHODS``.
        target: results go to ``<target>/<method>/seed<seed>``.
        minutes: CPU time of the training.
        seed: of weights, batches and patches.
        evaluation: keys that the evaluation has otherwise, such as
            ``"{'patch_size':[112,112,80],'stride':[18,18,4]}"``.
        overrides: further keys of train.json, such as ``--num_labelled 8 --patch_size "[64,64,48]"``.
    """
    if method not in METHODS:
        raise InputError(f"method {method}: unknown; expected one of: {', '.join(METHODS)}")
    bundle, differs = METHODS[method]
    folder = Path(target).absolute() / method / f"seed{seed}"
    overlay = _overlay(bundle, minutes) | {
        key: value for key, value in differs.items() if key not in overrides
    }
    settings = run_settings(dataset_dir, folder, seed) | overrides
    trainer, facts = train_and_score(bundle, folder, overlay, settings, evaluation)
    sampler = trainer.data_loader.batch_sampler
    facts |= {
        "labelled": len(sampler.labelled_cases),
        "unlabelled": len(sampler.unlabelled_cases),
        "disagreement": _disagreement(trainer),
    }
    write_json(folder / "facts.json", {"method": method, "seed": seed, **facts})


@torch.no_grad()
def _disagreement(trainer: Engine) -> float | None:
    """Variance of the decoders' foreground probabilities: mean over a patch of each unlabelled case.

    None for a network of one decoder.
    """
    network, dataset = trainer.network.eval(), trainer.data_loader.dataset
    if len(getattr(network, "decoders", [])) < 2:
        return None
    variances = []
    for case in trainer.data_loader.batch_sampler.unlabelled_cases:
        maps = network.encoder(plain(dataset[case]["image"])[None].to(trainer.state.device))
        foreground = torch.stack([1 - decoder(maps).softmax(1)[:, 0] for decoder in network.decoders])
        variances.append(float(foreground.var(0).mean()))
    return fmean(variances) if variances else None


def _overlay(bundle: str, minutes: float) -> dict[str, Any]:
    imports = ["$import benchmarks.comparisons.budget", "$import benchmarks.comparisons.semi_supervised"]
    overlay = budget_overlay(minutes, **{"+imports": imports, "datalist#holdout": 0})
    if bundle == "mcnet_plus":
        ramp_up = {"_target_": "benchmarks.comparisons.semi_supervised.BudgetRampUp", "budget": "@budget"}
        return overlay | {"ramp_up": ramp_up}
    return overlay | {"lr_step_epochs": 1_000_000}  # LeFeD's first step is at iteration 2500: out of reach


def report(*, target: str) -> str:
    """The table of all methods under ``target``.

    Every metric is the mean over the test cases, then over the seeds; ``dice_sd`` is the deviation between
    the seeds' means, or between the cases where there is one seed.  ``disagreement`` is the variance of the
    decoders' foreground probabilities on unlabelled training patches.

    Args:
        target: where ``train`` wrote.
    """
    finished = [method for method in METHODS if list((Path(target) / method).glob("seed*/facts.json"))]
    rows = [_row(method, Path(target)) for method in finished]
    if not rows:
        raise InputError(f"{target}: holds no results; train something there first")
    return format_table(rows)


def _row(method: str, target: Path) -> dict[str, Any]:
    runs = []
    for file in sorted((target / method).glob("seed*/facts.json")):
        with open(file.parent / "eval" / "evaluation_summary.csv", newline="") as table:
            runs.append(json.loads(file.read_text()) | list(csv.DictReader(table))[-1])
    dice = [float(run["dice_mean"]) for run in runs]
    cases = int(runs[0]["dice_cases"])
    row: dict[str, Any] = {
        "method": method,
        "labelled": runs[0]["labelled"],
        "unlabelled": runs[0]["unlabelled"],
        "seeds": len(runs),
    }
    for metric in METRICS:
        row[metric] = fmean(float(run[f"{metric}_mean"]) for run in runs)
        if metric == "dice":
            row["dice_sd"] = stdev(dice) if len(dice) > 1 else float(runs[0]["dice_sd"])
    apart = [run["disagreement"] for run in runs if run.get("disagreement") is not None]
    row["disagreement"] = fmean(apart) if apart else None
    empty = sum(float(run["empty_mean"]) * cases for run in runs)
    return row | {
        "empty": f"{round(empty)} of {cases * len(runs)}",
        "iterations": round(fmean(run["iterations"] for run in runs)),
        "cpu_minutes": round(fmean(run["cpu_minutes"] for run in runs), 1),
        "seconds_per_scan": round(fmean(run["evaluation_cpu_seconds"] for run in runs) / cases, 1),
    }


if __name__ == "__main__":
    run_commands({"train": train, "report": report}, name="python -m benchmarks.comparisons.semi_supervised")
