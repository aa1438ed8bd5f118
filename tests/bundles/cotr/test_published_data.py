"""The published recipe on the layout of the paper's data set, with tiny scans."""

from __future__ import annotations

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
    rows = (run.output_dir / "evaluation_cases.csv").read_text().splitlines()
    assert len(rows) == 1 + 9 * 13
    assert {row.split(",")[0] for row in rows[1:]} == {f"img{n:04d}.nii.gz" for n in range(32, 41)}
