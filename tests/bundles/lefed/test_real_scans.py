"""LeFeD on real scans of the left atrium, if available (skipped otherwise).

``REAL_DATA`` names a folder with ``la2018`` (Decathlon style: 40 training and 6 test scans); by default
``shared/data`` beside the checkout.
"""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from tests.contract.bundle import ROOT, Bundle, Run, Shell

DATA = Path(os.environ.get("REAL_DATA") or ROOT.parent / "shared" / "data") / "la2018"
LEFED = Bundle("lefed")
COARSE = {"spacing": [2.5, 2.5, 2.5], "cache_rate": 0.0, "intensity": "as_is"}

pytestmark = [
    pytest.mark.release,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"no real scans in {DATA}"),
]


def test_the_folder_works_as_it_is(tmp_path):
    """Trains on eight of the forty labels, chooses on two others, then scores all six test scans."""
    run, shell = Run(LEFED, tmp_path / "a run", tmp_path), Shell(ROOT, tmp_path)
    settings = {**run.base, **LEFED.quick["train"], **COARSE, "dataset_dir": DATA, "num_labelled": 8}
    shell.run([LEFED.config_file("train")], settings).ok()
    plan = json.loads((run.ckpt_dir / "plan.json").read_text())
    assert plan["intensity"] == [{"scheme": "as_is"}]
    assert plan["cases"] == 38
    shell.run([LEFED.config_file("train"), LEFED.config_file("evaluate")], settings).ok()
    with open(run.output_dir / "evaluation_cases.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    test_scans = json.loads((DATA / "dataset.json").read_text())["test"]
    assert [Path(row["case"]).name for row in rows] == sorted(Path(scan["image"]).name for scan in test_scans)
    assert {"dice", "jaccard", "hd95_voxels", "asd_voxels", "empty"} <= set(rows[0])
    assert all(0 <= float(row["dice"]) <= 1 for row in rows)
