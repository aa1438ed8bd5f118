"""The polyp benchmark: polyp.json on top of train.json, of evaluate.json and of inference.json."""

from __future__ import annotations

import csv
import json

import numpy as np
import torch
from PIL import Image

import common  # noqa: F401 (makes bundles importable)
from tests.contract.bundle import ROOT, Bundle, Run, Shell
from tests.contract.test_training import rows_of
from vptta.network import PolypNet

VPTTA = Bundle("vptta")


def test_train_evaluate_and_predict(tmp_path):
    run = Run(VPTTA, tmp_path / "a run", tmp_path / "phantom")
    shell, polyp = Shell(ROOT, tmp_path), VPTTA.config_file("polyp")
    overrides = {**run.places, **run.data, **VPTTA.quick["polyp"]}
    shell.run([VPTTA.config_file("train"), polyp], overrides).ok()
    (row,) = rows_of(run)
    assert float(row["loss"]) > 0
    assert row["dice"]
    assert row["s_measure"]
    assert row["e_measure"]
    PolypNet().load_state_dict(torch.load(run.weights, weights_only=True))
    plan = json.loads((run.ckpt_dir / "plan.json").read_text())
    assert plan["intensity"] == [{"scheme": "imagenet"}] * 3
    assert plan["adapted_part"] == "encoder"
    assert plan["prompt_lr"] == 0.01

    told = shell.run([VPTTA.config_file("train"), polyp, VPTTA.config_file("evaluate")], overrides).ok()
    assert "mean over classes" in told.out
    with open(run.output_dir / "evaluation_domains.csv", newline="") as file:
        assert [row["domain"] for row in csv.DictReader(file)][:3] == ["B", "C", "D"]

    shell.run([VPTTA.config_file("inference"), polyp], overrides).ok()
    listed = json.loads((run.phantom / "dataset.json").read_text())["test"]
    for case in listed:
        image = Image.open(run.phantom / case["image"])
        mask = Image.open(run.output_dir / case["image"].split("/")[1].replace(".png", "_seg.png"))
        assert mask.size == image.size
        assert set(np.unique(np.asarray(mask))) <= {0, 1}
