r"""A bundle's network and MONAI's DynUNet on one data set: same patch, data, recipe and CPU time.

    python -m benchmarks.comparisons.real_data train DIR --network cotr --num_classes 2 --minutes 60 \
        --target OUT
    python -m benchmarks.comparisons.real_data train DIR --network dynunet --num_classes 2 --minutes 60 \
        --target OUT
    python -m benchmarks.comparisons.real_data report DIR --num_classes 2 \
        --target OUT

``train`` runs the bundle's own train.json until the process has used its CPU time (the learning rate
falls with it), then evaluate.json on the test list.  ``report`` adds the mean-shape prior and prints
one table.
"""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.metrics import DiceMetric
from monai.networks.nets import DynUNet
from torch import Tensor

from benchmarks.comparisons.budget import evaluate_trained, train_within_budget
from common.commands import run_commands
from common.datasets import read_datalist
from common.evaluation.baselines import mean_shape_prior
from common.evaluation.case_arrays import read_cases
from common.evaluation.metrics.surface import HausdorffDistance95, NormalizedSurfaceDice
from common.evaluation.tables import format_table
from common.files import write_json

DYNUNET = {
    "_target_": "benchmarks.comparisons.real_data.DeeplySupervisedDynUNet",
    "spatial_dims": 3,
    "in_channels": "@in_channels",
    "out_channels": "@num_classes",
    "kernel_size": [3, 3, 3, 3, 3],
    "strides": [1, 2, 2, 2, 2],
    "upsample_kernel_size": [2, 2, 2, 2],
    "filters": [32, 64, 128, 256, 320],
    "norm_name": ["INSTANCE", {"affine": True}],
    "deep_supervision": True,
    "deep_supr_num": 3,
}


class DeeplySupervisedDynUNet(DynUNet):
    """MONAI's DynUNet with its training output as a list of logits, one for each scale."""

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:  # type: ignore[override]
        """(B, C, D, H, W) to logits; in training mode a list of four, all of the input's size."""
        output = super().forward(x)
        return list(output.unbind(dim=1)) if self.training else output


def train(
    dataset_dir: str,
    *,
    network: str,
    num_classes: int,
    target: str,
    minutes: float = 60,
    bundle: str = "cotr",
    **overrides: Any,
) -> None:
    """Train one network within the CPU time, then evaluate it on the test list.

    Args:
        dataset_dir: Decathlon-style folder.
        network: name of the bundle for its own network, or "dynunet".
        num_classes: with background.
        target: results go to ``<target>/<network>``.
        minutes: CPU time of the training, validation included.
        bundle: whose recipe is used.
        overrides: further keys of train.json, such as ``--spacing "[1.25,1.25,1.25]"``.
    """
    folder = Path(target).absolute() / network
    overlay: dict[str, Any] = {
        "+imports": ["$import benchmarks.comparisons.real_data"],
        "budget": {"_target_": "benchmarks.comparisons.budget.CpuBudget", "minutes": minutes},
        "lr_scheduler#lr_lambda": "$@budget.learning_rate_factor",
        "+train#handlers": ["@budget"],
    }
    if network == "dynunet":
        overlay["network_def"] = DYNUNET
    write_json(folder / "overlay.json", overlay)
    settings = {
        "dataset_dir": str(Path(dataset_dir).absolute()),
        "num_classes": num_classes,
        "epochs": 100_000,
        "output_dir": str(folder / "eval"),
        "ckpt_dir": str(folder / "models"),
        **overrides,
    }
    trainer, facts = train_within_budget(bundle, folder / "overlay.json", settings)
    facts |= evaluate_trained(bundle, folder / "overlay.json", settings)
    parameters = sum(p.numel() for p in trainer.network.parameters())
    write_json(folder / "facts.json", {"network": network, "parameters": parameters, **facts})


def report(dataset_dir: str, *, num_classes: int, target: str, tolerance: float = 3.0) -> str:
    """The table of all networks under ``target`` and the mean-shape prior, on the test list.

    Args:
        dataset_dir: the folder that they were trained on.
        num_classes: with background.
        target: where ``train`` wrote.
        tolerance: of the surface Dice, mm.
    """
    rows = [_prior_row(dataset_dir, num_classes, tolerance)]
    for file in sorted(Path(target).glob("*/facts.json")):
        facts = json.loads(file.read_text())
        with open(file.parent / "eval" / "evaluation_summary.csv", newline="") as table:
            summary = list(csv.DictReader(table))[-1]
        rows.append(
            {"method": facts["network"]}
            | {key: float(summary[key]) if summary[key] else None for key in list(rows[0])[1:7]}
            | {
                "cpu_minutes": round(facts["cpu_minutes"], 1),
                "iterations": facts["iterations"],
                "seconds_per_scan": round(facts["evaluation_cpu_seconds"] / int(summary["dice_cases"]), 1),
            }
        )
    return format_table(rows)


def _prior_row(dataset_dir: str, num_classes: int, tolerance: float) -> dict[str, Any]:
    begin = time.process_time()
    maps = mean_shape_prior(dataset_dir, section="test", classes=num_classes, rule="peak")
    cases = read_cases(read_datalist(dataset_dir, holdout=0)["test"], classes=num_classes)
    metrics = {
        "dice": DiceMetric(include_background=False, num_classes=num_classes),
        "hd95_mm": HausdorffDistance95(num_classes),
        "nsd": NormalizedSurfaceDice(num_classes, tolerance),
    }
    for label, case in zip(maps, cases, strict=True):
        for metric in metrics.values():
            metric(y_pred=[_as_tensor(label, case.affine)], y=[_as_tensor(case.label, case.affine)])
    row: dict[str, Any] = {"method": "mean-shape prior"}
    for name, metric in metrics.items():
        values = torch.nanmean(metric.get_buffer().double(), dim=1)
        row |= {f"{name}_mean": float(values.mean()), f"{name}_sd": float(values.std())}
    return row | {
        "cpu_minutes": round((time.process_time() - begin) / 60, 1),
        "iterations": None,
        "seconds_per_scan": None,
    }


def _as_tensor(label: np.ndarray, affine: np.ndarray) -> MetaTensor:
    """A label map as the metrics take it: (1, D, H, W) with its affine."""
    return MetaTensor(torch.as_tensor(label.astype("uint8"))[None], affine=torch.as_tensor(affine))


if __name__ == "__main__":
    run_commands({"train": train, "report": report}, name="python -m benchmarks.comparisons.real_data")
