"""Folds of a cross-validation: trained side by side, averaged in prediction and evaluation."""

from __future__ import annotations

import csv
import json

import nibabel as nib
import numpy as np
import pytest

from tests.contract.bundle import ROOT, Bundle, Run, Shell

KITS21 = Bundle("kits21")


@pytest.fixture
def bundle_run(tmp_path):
    """A function that runs a config with the bundle's default folders under ``tmp_path``."""
    run = Run(KITS21, tmp_path / "not used", tmp_path / "phantom")
    shell = Shell(ROOT, tmp_path)

    def start(*configs, **overrides):
        given = run.inference_overrides if configs == ("inference",) else run.train_overrides
        given = {key: value for key, value in given.items() if key not in run.places}
        files = [KITS21.config_file(name) for name in configs]
        return shell.run(files, {**given, "bundle_root": tmp_path / "b", **overrides})

    return start


def probabilities(folder):
    return {file.name: nib.load(file).get_fdata() for file in sorted(folder.glob("*_probabilities.nii.gz"))}


@pytest.mark.full
def test_folds_are_trained_side_by_side_and_averaged(bundle_run, tmp_path):
    root = tmp_path / "b"
    error = bundle_run("train", fold=2, folds=2).error()
    assert "fold = 2; expected a whole number from 0 to 1 (folds = 2)" in error
    assert not (root / "models").exists()
    for fold in range(2):
        told = bundle_run("train", fold=fold, folds=2, epochs=1, seed=fold).ok()
        assert "training on 2 cases, choosing weights on 2\n" in told.out + told.err
    folds = [root / "models" / f"fold_{fold}" for fold in range(2)]
    assert [json.loads((fold / "plan.json").read_text())["cases"] for fold in folds] == [4, 4]
    assert folds[0].joinpath("plan.json").read_text() == folds[1].joinpath("plan.json").read_text()
    assert (root / "eval" / "fold_1" / "metrics.csv").is_file()

    told = bundle_run("inference", save_probabilities=True, output_dir=tmp_path / "both").ok()
    assert f"averaging 2 folds: {folds[0]}, {folds[1]}" in told.out + told.err
    for fold in range(2):
        one = {"ckpt_dir": folds[fold], "output_dir": tmp_path / f"only {fold}"}
        assert "averaging" not in bundle_run("inference", save_probabilities=True, **one).ok().out
    both, *alone = (probabilities(tmp_path / name) for name in ("both", "only 0", "only 1"))
    assert len(both) == 2
    for name, mean in both.items():
        assert np.abs(alone[0][name] - alone[1][name]).max() > 1e-3
        np.testing.assert_allclose(mean, (alone[0][name] + alone[1][name]) / 2, atol=1e-4)

    told = bundle_run("train", "evaluate").ok()
    assert "averaging 2 folds" in told.out + told.err
    own = bundle_run("train", "evaluate", fold=1, folds=2).ok()
    assert "averaging" not in own.out + own.err
    with open(root / "eval" / "fold_1" / "evaluation_cases.csv", newline="") as table:
        assert len({row["case"] for row in csv.DictReader(table)}) == 2

    plan = folds[1] / "plan.json"
    plan.write_text(json.dumps({**json.loads(plan.read_text()), "spacing": [1, 1, 1]}))
    assert "fold_1/model.pt: was trained with the plan of digest" in bundle_run("inference").error()
