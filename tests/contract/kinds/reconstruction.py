"""Bundles that reconstruct: a signal for every measurement, in the measurement's own format."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.contract.bundle import Bundle, Run

RUNS = {
    "inference": "test_one_signal_for_every_measurement",
    "evaluate": "test_evaluation_scores_every_signal",
}
SHARED: set[str] = set()
TAKES_DROPOUT = False


def check_channels(bundle: Bundle) -> None:
    """A signal has no background, and every channel of the output is one."""
    assert not bundle.is_nested
    assert "background" not in bundle.output_format["channel_def"].values()
    assert bundle.output_format["num_channels"] == len(bundle.output_format["channel_def"])


def listed_for_test(run: Run) -> list[dict[str, str]]:
    return json.loads((run.phantom / "dataset.json").read_text())["test"]


@pytest.mark.always
def test_one_signal_for_every_measurement(bundle, make_run, shell):
    run = make_run(weights=True)
    shell.run([bundle.config_file("inference")], run.inference_overrides).ok()
    postfix = bundle.config("inference")["output_postfix"]
    listed = listed_for_test(run)
    written = sorted(path.name for path in run.output_dir.glob(f"*_{postfix}.*"))
    for case in listed:
        measured, signal = Path(case["image"]), np.load(run.phantom / case["label"])
        name = f"{measured.stem}_{postfix}{measured.suffix}"
        written.remove(name)
        found = np.load(run.output_dir / name)
        assert found.shape == signal.shape
        assert np.isfinite(found).all()
        assert found.any()
    assert not written, "files of no case"
    with Image.open(run.output_dir / "preview_inference.png") as picture:
        assert len(picture.convert("L").getcolors()) > 10


@pytest.mark.always
def test_evaluation_scores_every_signal(bundle, make_run, shell):
    run = make_run(weights=True)
    shell.run([bundle.config_file("train"), bundle.config_file("evaluate")], run.train_overrides).ok()
    with open(run.output_dir / "evaluation_cases.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(listed_for_test(run)) > 1
    assert all(np.isfinite(float(row[bundle.key_metric])) for row in rows)
    with open(run.output_dir / "evaluation_summary.csv", newline="") as file:
        assert list(csv.DictReader(file))
    assert not (run.ckpt_dir / "checkpoint.pt").exists(), "an evaluation trains nothing"
