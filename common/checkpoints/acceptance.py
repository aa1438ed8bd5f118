"""Do published weights score here as published?  One command fetches, imports and scores them."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from common.bundles import bundle_folder
from common.checkpoints.importing import import_listed
from common.checkpoints.origin import origin_of
from common.checkpoints.published import PublishedFile, options_of, published_weights
from common.errors import InputError

__all__ = ["accept"]


def accept(
    bundle: str, *, target: str = "published_weights", tolerance: float = 0.005, **datasets: str
) -> str:
    """Fetch and import the listed weights of a bundle, score them, and compare with the published Dice.

    What is there from an earlier call is not fetched again.

    Args:
        bundle: name of the bundle.
        target: folder for weights and tables.
        tolerance: largest difference of the mean Dice, 0 to 1.
        datasets: name of a data set -> its prepared folder: ``--la2018 LA2018``; files of other data sets are
            imported but not scored.

    Returns:
        A line for each file.

    Raises:
        InputError: a file cannot be fetched or imported, or scores otherwise than published.
    """
    known = published_weights(bundle)
    listed = [file for file in known.files if file.url and file.dice is not None]
    if not listed:
        raise InputError(
            f"{bundle}: no listed weights have a direct link and a published Dice; {known.about}"
        )
    _require_data(bundle, listed, datasets)
    lines, failed = [], []
    for file in listed:
        folder = Path(target).absolute() / bundle / file.name
        _imported(bundle, file, folder)
        published = f"published Dice {file.dice:.4f}"
        if file.dataset not in datasets:
            line = f"{file.name}: imported, {published}, not scored: give --{file.dataset} FOLDER"
        else:
            dice = _scored(bundle, file, folder, str(datasets[file.dataset]))
            good = abs(dice - file.dice) <= tolerance
            line = f"{file.name}: Dice {dice:.4f}, {published}: {'good' if good else 'DIFFERENT'}"
            failed += [] if good else [line]
        print(line, file=sys.stderr, flush=True)
        lines.append(line)
    if failed:
        raise InputError(
            f"{len(failed)} of {len(listed)} score otherwise than published: {'; '.join(failed)}"
        )
    return "\n".join(lines)


def _require_data(bundle: str, listed: Sequence[PublishedFile], datasets: Mapping[str, Any]) -> None:
    """Before anything is fetched."""
    names = list(dict.fromkeys(file.dataset for file in listed))
    for name, folder in datasets.items():
        if name not in names:
            valid = ", ".join(f"--{one}" for one in names)
            raise InputError(f"--{name}: no listed weights of {bundle} are scored on it; expected: {valid}")
        if not (Path(str(folder)) / "dataset.json").is_file():
            raise InputError(
                f"{folder}: has no dataset.json; expected the folder that python -m common.datasets prepare "
                f"{name} wrote"
            )


def _imported(bundle: str, file: PublishedFile, folder: Path) -> None:
    weights = folder / "models" / "model.pt"
    if weights.is_file():
        origin = origin_of(torch.load(weights, map_location="cpu", weights_only=True, mmap=True))
        if origin is None or origin.source != file.url:
            raise InputError(f"{weights}: are other weights; give another --target, or move them away")
        return
    print(import_listed(bundle, file, weights, file.test_plan), file=sys.stderr, flush=True)


def _scored(bundle: str, file: PublishedFile, folder: Path, dataset_dir: str) -> float:
    """Mean Dice over classes and cases of the data set's test list, by ``evaluate.json``."""
    configs = bundle_folder(bundle) / "configs"
    names = ("train", *file.overlays, "evaluate")
    settings = {
        "config_file": [str(configs / f"{name}.json") for name in names],
        "dataset_dir": str(Path(dataset_dir).absolute()),
        "ckpt_dir": str(folder / "models"),
        "output_dir": str(folder / "eval"),
        **options_of(file.options),
        **options_of(file.evaluate_options),
    }
    words = [word for key, value in settings.items() for word in (f"--{key}", str(value))]
    command = [sys.executable, "-m", "monai.bundle", "run", *words]
    done = subprocess.run(command, stdout=sys.stderr, check=False)
    if done.returncode:
        raise InputError(
            f"{file.name}: the evaluation failed (its message is above); the weights are in {folder}"
        )
    with (folder / "eval" / "evaluation_summary.csv").open(newline="", encoding="utf-8") as table:
        rows = {row["name"]: row for row in csv.DictReader(table)}
    return float(rows["mean over classes"]["dice_mean"])
