"""Streams of pictures through a test-time method, and what they leave: a source's run, rows, tables."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.comparisons.budget import load_bundle
from common.checkpoints.store import read_checkpoint
from common.errors import InputError
from common.evaluation.metrics.nested import NestedDice

__all__ = ["dice_of_stream", "read_streams", "source_run"]


def source_run(
    folder: Path, source: str, seed: int, overrides: Mapping[str, Any]
) -> tuple[Path, dict[str, Any]]:
    """The folder of a source network's weights, and the settings of its training."""
    run = folder / "models" / f"{source}_seed{seed}"
    return run, {
        "dataset_dir#folder": str(folder / "phantom" / source),
        "dataset_dir#source": source,
        "seed": seed,
        "output_dir": str(run / "eval"),
        "ckpt_dir": str(run),
        **overrides,
    }


def dice_of_stream(
    bundle: str, training: Sequence[str], settings: Mapping[str, Any], rounds: int
) -> Iterator[dict[str, Any]]:
    """Dice of each picture in the order of the stream, round after round.

    Args:
        bundle: its name; its evaluate.json names the cases and the method.
        training: configs that the source network was trained with.
        settings: overrides; ``ckpt_dir`` holds the source's model.pt.
        rounds: through all pictures, without a reset.

    Yields:
        ``round``, ``domain``, ``disc``, ``cup``.
    """
    parser = load_bundle(bundle, settings, *training, "evaluate").parser
    torch.manual_seed(settings["seed"])
    network = parser.get_parsed_content("network").eval()
    network.load_state_dict(read_checkpoint(Path(settings["ckpt_dir"]) / "model.pt"))
    dataset = parser.get_parsed_content("validate#dataset")
    inferer = parser.get_parsed_content("validate#inferer")
    threshold = parser.get_parsed_content("validate#postprocessing")
    metric = NestedDice(parser.get_parsed_content("num_classes"))
    for number in range(1, rounds + 1):
        for case in dataset:
            with torch.no_grad():
                logits = inferer(case["image"][None].to(parser.get_parsed_content("device")), network)
            done = threshold({**case, "pred": logits[0]})
            disc, cup = metric(done["pred"][None].cpu(), done["label"][None])[0].tolist()
            yield {"round": number, "domain": case["domain"], "disc": disc, "cup": cup}


def read_streams(folder: Path) -> list[dict[str, str]]:
    """All rows of ``<folder>/streams``.

    Raises:
        InputError: there are none.
    """
    rows: list[dict[str, str]] = []
    for file in sorted((folder / "streams").glob("*.csv")):
        with open(file, newline="") as table:
            rows += csv.DictReader(table)
    if not rows:
        raise InputError(f"{folder}: holds no results; stream something there first")
    return rows
