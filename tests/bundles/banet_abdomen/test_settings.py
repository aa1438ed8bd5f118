"""The four trainings, one after the other, and the prediction that averages them: README.md#four-settings."""

from __future__ import annotations

import json

import nibabel as nib
import pytest

from tests.contract.bundle import Bundle, Run, Shell
from tests.contract.resolved import read

ABDOMEN = Bundle("banet_abdomen")
MR = {"dataset_dir#mr_training": 2, "dataset_dir#mr_validation": 1, "dataset_dir#mr_test": 1,
      "dataset_dir#mr_shape": [40, 32, 36], "dataset_dir#mr_spacing": [9.5, 9.5, 10.0]}  # fmt: skip


@pytest.mark.parametrize("setting", ["low_resolution", "joint", "plain_mr"])
def test_the_recipe_and_a_setting_may_come_in_either_order(setting):
    folder = ABDOMEN.root / "configs"
    before, behind = (read(folder, ["train", *order]) for order in ([setting, "paper"], ["paper", setting]))
    assert before == behind
    assert behind["folds"] == (5 if setting == "plain_mr" else 4)


@pytest.mark.full
def test_the_four_settings_and_their_ensemble(tmp_path):
    shell = Shell(tmp_path, tmp_path)
    run = Run(ABDOMEN, tmp_path / "run", tmp_path / "phantom")
    plans = {}
    for setting in ("train", "low_resolution", "joint", "plain_mr"):
        files = [ABDOMEN.config_file(name) for name in dict.fromkeys(("train", setting))]
        folder = run.ckpt_dir if setting == "train" else run.ckpt_dir / setting
        places = {"ckpt_dir": folder, "output_dir": run.output_dir / setting}
        told = shell.run(files, {**run.train_overrides, **MR, **places}).ok()
        plans[setting] = json.loads((folder / "plan.json").read_text())
        if setting == "low_resolution":
            assert "holds no more than four patches" in told.out + told.err
    assert plans["train"]["modality"] == plans["low_resolution"]["modality"] == "CT"
    assert plans["train"]["cases"] == 3
    assert set(plans["joint"]["spacing"]) == set(plans["joint"]["intensity"]) == {"CT", "MR"}
    assert plans["joint"]["cases"] == 5
    assert (plans["plain_mr"]["modality"], plans["plain_mr"]["cases"]) == ("MR", 2)
    assert plans["plain_mr"]["spacing"] == plans["joint"]["spacing"]["MR"]

    told = shell.run([ABDOMEN.config_file("inference")], {**run.inference_overrides, **MR}).ok()
    assert "CT: mean of full (" in told.out + told.err
    assert "MR: mean of joint (" in told.out + told.err
    entries = json.loads((run.phantom / "dataset.json").read_text())["test"]
    assert [entry["modality"] for entry in entries] == ["CT", "CT", "MR"]
    for entry in entries:
        scan = nib.load(run.phantom / entry["image"])
        name = entry["image"].rsplit("/", 1)[-1].replace(".nii.gz", "_seg.nii.gz")
        assert nib.load(run.output_dir / name).shape == scan.shape

    elsewhere = {"output_dir": tmp_path / "another", "average": "{'CT': ['low_resolution']}"}
    told = shell.run([ABDOMEN.config_file("inference")], {**run.inference_overrides, **MR, **elsewhere}).ok()
    assert "1 of 3 cases are left out: they are MR" in told.out + told.err
    assert len(list((tmp_path / "another").glob("*_seg.nii.gz"))) == 2
