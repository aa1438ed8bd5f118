"""The polyp benchmark: polyp.json on top of train.json, of evaluate.json and of inference.json."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from PIL import Image

from common.bundles import parse_config  # (makes bundles importable)
from tests.contract.bundle import ROOT, Bundle, Run, Shell
from tests.contract.test_training import rows_of
from vptta.network import PolypNet

VPTTA = Bundle("vptta")


@pytest.mark.full
def test_train_evaluate_and_predict(tmp_path):
    run = Run(VPTTA, tmp_path / "a run", tmp_path / "phantom")
    shell, polyp = Shell(ROOT, tmp_path), VPTTA.config_file("polyp")
    overrides = {**run.places, **run.data, **VPTTA.quick["polyp"]}  # a network of its own
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

    del overrides["image_size"]  # from the plan
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


@pytest.mark.parametrize("kinds", [("inference", "polyp"), ("train", "polyp", "evaluate")])
@pytest.mark.parametrize(("plan", "size"), [({"image_size": [96, 96]}, [96, 96]), (None, [352, 352])])
def test_prediction_takes_the_size_of_the_weights(kinds, plan, size, tmp_path):
    """The published size is used only without a plan beside the weights; another size would change the
    polyps' scale.
    """
    if plan:
        settings = {"prompt_alpha": 0.01, "prompt_lr": 0.01, "adapted_part": "encoder"}
        (tmp_path / "plan.json").write_text(json.dumps({"intensity": [], "labels": {}, **settings, **plan}))
    parse_config("vptta")
    parser = ConfigParser()
    parser.read_config([str(VPTTA.config_file(kind)) for kind in kinds])
    parser["ckpt_dir"] = str(tmp_path)
    assert parser.get_parsed_content("image_size") == size


def test_training_has_the_published_size_whatever_plan_exists(tmp_path):
    (tmp_path / "plan.json").write_text(json.dumps({"intensity": [], "labels": {}, "image_size": [96, 96]}))
    parser = ConfigParser()
    parser.read_config([str(VPTTA.config_file(kind)) for kind in ("train", "polyp")])
    parser["ckpt_dir"] = str(tmp_path)
    assert parser.get_parsed_content("image_size") == [352, 352]
