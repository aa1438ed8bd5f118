"""The published recipe on the layout of the paper's data set, with tiny scans."""

from __future__ import annotations

import csv
import json

import pytest

from common.datasets.raw.prepare import prepare
from tests.common.datasets.raw_bcv import RawBcv
from tests.contract.bundle import ROOT, Bundle, Run, Shell

COTR = Bundle("cotr")


@pytest.mark.full
def test_trains_on_the_21_cases_of_bcv_and_tests_on_9(tmp_path):
    raw = RawBcv(tmp_path / "download", shape=(20, 20, 10))
    prepare("bcv", raw.root, tmp_path / "BCV")
    run = Run(COTR, tmp_path / "a run", tmp_path)
    places = {**run.base, "dataset_dir": tmp_path / "BCV"}
    shell = Shell(ROOT, tmp_path)
    files = [COTR.config_file("train"), COTR.config_file("paper")]
    told = shell.run(files, places | COTR.quick["paper"]).ok()
    assert "training on 21 cases, keeping the last weights" in told.out + told.err
    plan = json.loads((run.ckpt_dir / "plan.json").read_text())
    assert plan["cases"] == 21
    assert len(plan["labels"]) == plan["classes"] == 14

    files = [COTR.config_file("train"), COTR.config_file("evaluate")]
    shell.run(files, {**places, "num_classes": 14, "patch_size": COTR.quick["paper"]["patch_size"]}).ok()
    rows = list(csv.DictReader((run.output_dir / "evaluation_cases.csv").open(newline="")))
    assert len(rows) == 9 * 13
    assert {row["case"] for row in rows} == {f"img{n:04d}.nii.gz" for n in range(32, 41)}
    missed = [row for row in rows if row["dice"] == "0" and float(row["nsd"]) == 0 and not row["hd95_mm"]]
    assert missed, "an organ that an untrained network misses has Dice 0 and no distance"
    summary = (run.output_dir / "evaluation_summary.csv").read_text()
    assert "mean of the first 11 classes" in summary
