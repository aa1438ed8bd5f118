"""EASR-DCN, plain registration networks and affine maps on one data set: same loss, pairs and CPU time.

    python -m benchmarks.comparisons.registration train DIR --network easr_dcn --minutes 10 --target OUT
    python -m benchmarks.comparisons.registration train DIR --network regunet --minutes 10 --target OUT
    python -m benchmarks.comparisons.registration train DIR --network affine --target OUT
    python -m benchmarks.comparisons.registration report --target OUT

``train`` runs the bundle's train.json until the process has used its CPU time, takes the weights of the last
iteration (nothing is selected), and evaluates them on the test list.  ``regunet`` is MONAI's network in the
manner of VoxelMorph, ``one_region`` the bundle's own without the division, ``shared_encoder`` the bundle's
with one encoder for all regions, ``random_regions`` with masks of equal size in place of the mixture's;
``affine`` is no network, but the best affine map of each test pair by the same similarity.  Repeat with
``--seed 1``, ``--seed 2``; ``report`` prints one line for each network, and one for no registration at all.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
import torch.nn.functional as F
from monai.networks.nets import RegUNet
from torch import Tensor, nn

from benchmarks.comparisons.budget import budget_overlay, evaluate_trained, run_settings, train_and_score
from common.checkpoints.store import save_state
from common.commands import run_commands
from common.errors import InputError
from common.evaluation.tables import format_table
from common.files import write_json
from common.registration.local_correlation import LocalCorrelationLoss
from common.registration.warp import identity_points, warp
from common.tensors.plain import plain

REGUNET = {
    "_target_": "benchmarks.comparisons.registration.PaddedRegUNet",
    "spatial_dims": 3,
    "in_channels": 2,
    "num_channel_initial": 16,
    "depth": 3,
    "out_channels": 3,
    "out_kernel_initializer": "zeros",
}
#: Name -> what differs from the bundle's train.json.
NETWORKS: dict[str, dict[str, Any]] = {
    "easr_dcn": {},
    "one_region": {"regions": 1},
    "shared_encoder": {"network_def#shared_encoder": True},
    "random_regions": {"network_def#split": "random"},
    "regunet": {"network_def": REGUNET},
    "affine": {"network_def": {"_target_": "benchmarks.comparisons.registration.AffineByPair"}},
}
#: Column of the report -> table of the evaluation, and its column after and before.
METRICS = {
    "ncc": ("evaluation_pairs_summary.csv", "ncc", "ncc_before"),
    "dice": ("evaluation_summary.csv", "dice", "dice_before"),
    "surface_mm": ("evaluation_summary.csv", "surface_mm", "surface_before_mm"),
    "folded_share": ("evaluation_pairs_summary.csv", "folded_share", None),
}


class PaddedRegUNet(RegUNet):
    """MONAI's RegUNet for volumes of any size: padded to multiples of 2 ** depth, the field cut back."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2, D, H, W) to (B, 3, D, H, W)."""
        depth, height, width = x.shape[2:]
        step = 2**self.depth
        padded = F.pad(x, [0, -width % step, 0, -height % step, 0, -depth % step])
        return super().forward(padded)[:, :, :depth, :height, :width]


class AffineByPair(nn.Module):
    """The affine map of each pair that is best by local correlation, found by descent; nothing is learnt.

    Args:
        steps: of Adam.
        learning_rate: of Adam; parameters are in units of half the volume.
    """

    def __init__(self, steps: int = 100, learning_rate: float = 0.01) -> None:
        super().__init__()
        self.register_buffer("steps", torch.tensor(steps))
        self.learning_rate = learning_rate

    @torch.enable_grad()
    def forward(self, x: Tensor) -> Tensor:
        """(B, 2, *S) to displacements (B, 3, *S) in voxels."""
        moving, fixed = plain(x).detach().split(1, 1)
        points = identity_points(x.shape[2:], like=moving)[0].flatten(1)  # (3, N)
        half = torch.tensor(x.shape[2:], dtype=points.dtype, device=points.device)[:, None] / 2
        places = torch.cat([(points + 0.5) / half - 1, torch.ones_like(points[:1])])  # -1..1, and 1
        matrix = torch.zeros(x.shape[0], 3, 4, device=points.device, requires_grad=True)
        optimizer, similarity = torch.optim.Adam([matrix], lr=self.learning_rate), LocalCorrelationLoss()
        for _ in range(int(self.steps)):
            loss = similarity(warp(moving, self._field(matrix, places, half, x.shape)), fixed)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return self._field(matrix, places, half, x.shape).detach()

    def _field(self, matrix: Tensor, places: Tensor, half: Tensor, shape: torch.Size) -> Tensor:
        return (half * (matrix @ places)).reshape(shape[0], 3, *shape[2:])


def train(
    dataset_dir: str,
    *,
    network: str,
    target: str,
    minutes: float = 10,
    seed: int = 0,
    **overrides: Any,
) -> None:
    """Train one network within the CPU time, then evaluate it on the test list.

    Args:
        dataset_dir: folder with dataset.json, as the bundle's card says.
        network: one of ``NETWORKS``.
        target: results go to ``<target>/<network>/seed<seed>``.
        minutes: CPU time of the training.
        seed: of weights and pairs.
        overrides: further keys of train.json, such as ``--spacing "[5,6,7]"``.
    """
    if network not in NETWORKS:
        raise InputError(f"network {network}: unknown; expected one of: {', '.join(NETWORKS)}")
    folder = Path(target).absolute() / network / f"seed{seed}"
    imports = ["$import benchmarks.comparisons.budget", "$import benchmarks.comparisons.registration"]
    overlay = budget_overlay(minutes, **{"+imports": imports}, **NETWORKS[network])
    settings = {
        **run_settings(dataset_dir, folder, seed),
        "iterations_per_epoch": 10,  # the budget is looked at after every epoch
        **overrides,
    }
    if network == "affine":  # nothing to train
        model, facts = AffineByPair(), {"iterations": 0, "cpu_minutes": 0.0}
        write_json(folder / "overlay.json", overlay)
        save_state(model, folder / "models" / "model.pt")
        facts |= evaluate_trained("easr_dcn", folder / "overlay.json", settings)
    else:
        trainer, facts = train_and_score("easr_dcn", folder, overlay, settings)
        model = trainer.network
    facts["parameters"] = sum(p.numel() for p in model.parameters())
    write_json(folder / "facts.json", {"network": network, "seed": seed, **facts})


def report(*, target: str) -> str:
    """The table of all networks under ``target``.

    Each metric is the mean over the test pairs (and structures), then over the seeds; ``_sd`` is the
    deviation between the seeds.

    Args:
        target: where ``train`` wrote.
    """
    found = {name: _runs(Path(target) / name) for name in NETWORKS}
    found = {name: runs for name, runs in found.items() if runs}
    if not found:
        raise InputError(f"{target}: holds no results; train something there first")
    first = next(iter(found.values()))[0]
    rows: list[dict[str, Any]] = [{"network": "identity", "seeds": None}]
    for metric in METRICS:
        rows[0] |= {metric: first[f"{metric}_before"], f"{metric}_sd": None}
    rows[0] |= {"parameters": None, "iterations": None, "cpu_minutes": None}
    for name, runs in found.items():
        row: dict[str, Any] = {"network": name, "seeds": len(runs)}
        for metric in METRICS:
            values = [run[metric] for run in runs if run[metric] is not None]
            row[metric] = fmean(values) if values else None
            row[f"{metric}_sd"] = stdev(values) if len(values) > 1 else None
        rows.append(
            row
            | {
                "parameters": runs[0]["parameters"],
                "iterations": round(fmean(run["iterations"] for run in runs)),
                "cpu_minutes": round(fmean(run["cpu_minutes"] for run in runs), 1),
            }
        )
    return format_table(rows)


def _runs(folder: Path) -> list[dict[str, Any]]:
    """Facts and mean metrics of every seed."""
    runs = []
    for file in sorted(folder.glob("seed*/facts.json")):
        run = json.loads(file.read_text())
        for metric, (table, after, before) in METRICS.items():
            with open(file.parent / "eval" / table, newline="") as lines:
                summary = list(csv.DictReader(lines))[-1]
            run[metric] = _number(summary[f"{after}_mean"])
            run[f"{metric}_before"] = _number(summary[f"{before}_mean"]) if before else None
        runs.append(run)
    return runs


def _number(cell: str) -> float | None:
    return float(cell) if cell else None


if __name__ == "__main__":
    run_commands({"train": train, "report": report}, name="python -m benchmarks.comparisons.registration")
