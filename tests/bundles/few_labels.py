"""The start of a published recipe with few labels: from a raw download to the line that tells the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common.datasets import semi_supervised_datalist
from common.datasets.raw.prepare import prepare
from common.training.numbers import line_of_numbers
from tests.contract.bundle import ROOT, Bundle, Run, Shell
from tests.contract.test_training import rows_of

#: Small volumes and one step; neither how many cases there are nor which are labelled.
TINY = {"epochs": 1, "iterations_per_epoch": 1, "num_workers": 0, "cache_rate": 0.0}


def line_of_start(
    bundle: Bundle, overlays: Sequence[str], raw: Path, dataset: str, tmp_path: Path, **overrides: Any
) -> str:
    """Prepare a raw data set, train one step by ``python -m monai.bundle run``; what it says it trains on."""
    folder = tmp_path / dataset
    if not folder.is_dir():
        prepare(dataset, raw, folder)
    run = Run(bundle, tmp_path / "a run", folder)
    files = [bundle.config_file(kind) for kind in ("train", *overlays)]
    settings = {**run.base, **TINY, "dataset_dir": folder, **overrides}
    told = Shell(ROOT, tmp_path).run(files, settings).ok()
    (row,) = rows_of(run)
    assert row["dice"], "validated"
    (line,) = [line for line in told.out.splitlines() if line.startswith("training on ")]
    return line


def line_for(folder: Path, **options: Any) -> str:
    """What a run with these options of the list would say."""
    lists = semi_supervised_datalist(folder, **options)
    return line_of_numbers(lists["training"], lists["validation"], "best")
