"""Trainings that end with their CPU time, and what they cost."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events

from common.bundles import bundle_folder
from common.checkpoints.store import save_state
from common.errors import InputError
from common.files import write_json

__all__ = [
    "CpuBudget",
    "budget_overlay",
    "evaluate_trained",
    "load_bundle",
    "run_bundle",
    "run_settings",
    "train_and_score",
    "train_method",
    "train_within_budget",
]


class CpuBudget:
    """Ends a training once the process has used its CPU time.

    Args:
        minutes: CPU time of all threads from now on.
    """

    def __init__(self, minutes: float) -> None:
        self.seconds, self.begin = minutes * 60, time.process_time()

    def used(self) -> float:
        """Used share, from 0 to 1."""
        return min((time.process_time() - self.begin) / self.seconds, 1.0)

    def learning_rate_factor(self, _: int) -> float:
        """nnU-Net's decay, in used time instead of epochs."""
        return (1 - self.used()) ** 0.9

    def attach(self, trainer: Engine) -> None:
        """Look after every epoch."""
        trainer.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, trainer: Engine) -> None:
        """Terminate when the time is used."""
        if self.used() >= 1:
            trainer.terminate()


def budget_overlay(minutes: float, **more: Any) -> dict[str, Any]:
    """A config on top of train.json that ends with its CPU time, validates never and holds no case out."""
    return {
        "+imports": ["$import benchmarks.comparisons.budget"],
        "budget": {"_target_": "benchmarks.comparisons.budget.CpuBudget", "minutes": minutes},
        "val_interval": 1_000_000,
        "+train#handlers": ["@budget"],
        **more,
    }


def run_settings(dataset_dir: str | Path, folder: Path, seed: int) -> dict[str, Any]:
    """Overrides of a run whose end is its budget's, with everything that it writes in one folder."""
    return {
        "dataset_dir": str(Path(dataset_dir).absolute()),
        "seed": seed,
        "epochs": 100_000,
        "output_dir": str(folder / "eval"),
        "ckpt_dir": str(folder / "models"),
    }


def train_and_score(
    bundle: str,
    folder: Path,
    overlay: Mapping[str, Any],
    settings: Mapping[str, Any],
    evaluation: Mapping[str, Any] | None = None,
) -> tuple[Engine, dict[str, Any]]:
    """Train within a budget, take the weights of the last iteration, score them on the test list.

    Args:
        bundle: its name.
        folder: of the run; the overlay is written there.
        overlay: see :func:`budget_overlay`.
        settings: see :func:`run_settings`; further overrides.
        evaluation: keys that the evaluation has otherwise.

    Returns:
        The trainer, and the facts of :func:`train_within_budget` and :func:`evaluate_trained`.
    """
    write_json(folder / "overlay.json", dict(overlay))
    trainer, facts = train_within_budget(bundle, folder / "overlay.json", settings)
    save_state(trainer.network, folder / "models" / "model.pt")
    facts |= evaluate_trained(bundle, folder / "overlay.json", {**settings, **(evaluation or {})})
    return trainer, facts


def train_method(
    bundle: str,
    methods: Mapping[str, Mapping[str, Any]],
    overlay: Mapping[str, Any],
    *,
    method: str,
    dataset_dir: str | Path,
    target: str | Path,
    seed: int,
    overrides: Mapping[str, Any],
) -> None:
    """Train and score one of several settings of a bundle, in ``<target>/<method>/seed<seed>``.

    Args:
        bundle: its name.
        methods: method -> what differs from train.json.
        overlay: see :func:`budget_overlay`.
        method: one of ``methods``.
        dataset_dir: the data.
        target: folder for all methods; ``facts.json`` of the run is written last.
        seed: of weights and patches.
        overrides: further keys of train.json.

    Raises:
        InputError: there is no such method.
    """
    if method not in methods:
        raise InputError(f"method {method}: unknown; expected one of: {', '.join(methods)}")
    folder = Path(target).absolute() / method / f"seed{seed}"
    settings = {**run_settings(dataset_dir, folder, seed), **methods[method], **overrides}
    _, facts = train_and_score(bundle, folder, overlay, settings)
    write_json(folder / "facts.json", {"method": method, "seed": seed, **facts})


def train_within_budget(
    bundle: str, overlay: Path, settings: Mapping[str, Any]
) -> tuple[Engine, dict[str, Any]]:
    """Run train.json with an overlay that holds a :class:`CpuBudget`.

    Args:
        bundle: its name.
        overlay: a config on top of train.json.
        settings: overrides.

    Returns:
        The trainer, and ``iterations``, ``cpu_minutes``, ``wall_minutes``, ``threads``.
    """
    begin, wall = time.process_time(), time.monotonic()
    workflow = run_bundle(bundle, settings, "train", overlay)
    trainer = workflow.parser.get_parsed_content("train::trainer")
    return trainer, {
        "iterations": trainer.state.iteration,
        "cpu_minutes": (time.process_time() - begin) / 60,
        "wall_minutes": (time.monotonic() - wall) / 60,
        "threads": torch.get_num_threads(),
    }


def evaluate_trained(bundle: str, overlay: Path, settings: Mapping[str, Any]) -> dict[str, float]:
    """Run evaluate.json on the test list with the weights of the training; its CPU time."""
    begin = time.process_time()
    run_bundle(bundle, settings, "train", overlay, "evaluate")
    return {"evaluation_cpu_seconds": time.process_time() - begin}


def run_bundle(bundle: str, settings: Mapping[str, Any], *configs: str | Path) -> Any:
    """Run configs of a bundle, given by their names, or as files; the finished workflow."""
    workflow = load_bundle(bundle, settings, *configs)
    workflow.run()
    return workflow


def load_bundle(bundle: str, settings: Mapping[str, Any], *configs: str | Path) -> Any:
    """The workflow of these configs, ready to run or to take parts from."""
    from monai.bundle import ConfigWorkflow

    folder = bundle_folder(bundle) / "configs"
    files = [str(name if isinstance(name, Path) else folder / f"{name}.json") for name in configs]
    workflow = ConfigWorkflow(
        files, meta_file=str(folder / "metadata.json"), workflow_type="train", **settings
    )
    workflow.initialize()
    return workflow
