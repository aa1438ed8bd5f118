"""The prostate benchmark: prostate.json on top of train.json, of evaluate.json and of inference.json."""

from __future__ import annotations

import csv
import json

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser

from common.bundles import parse_config  # (makes bundles importable)
from tests.contract.bundle import ROOT, Bundle, Run, Shell
from tests.contract.test_training import rows_of
from trid.network import TriDUNet

TRID = Bundle("trid")


def merged(*kinds):
    parser = ConfigParser()
    parser.read_config([str(TRID.config_file(kind)) for kind in kinds])
    return parser


def test_train_evaluate_and_predict(tmp_path):
    run = Run(TRID, tmp_path / "a run", tmp_path / "phantom")
    shell, prostate = Shell(ROOT, tmp_path), TRID.config_file("prostate")
    overrides = {**run.base, **run.data, **TRID.quick["prostate"]}
    shell.run([TRID.config_file("train"), prostate], overrides).ok()
    (row,) = rows_of(run)
    assert float(row["loss"]) > 0
    assert row["dice"]
    assert row["asd_pixels"]
    assert (run.output_dir / "preview.png").is_file()
    network = TriDUNet(in_channels=3, out_channels=1, widths=TRID.network["network_def#widths"])
    network.load_state_dict(torch.load(run.weights, weights_only=True))
    plan = json.loads((run.ckpt_dir / "plan.json").read_text())
    assert (plan["channels"], plan["classes"], plan["image_size"]) == (1, 2, [64, 64])
    assert plan["labels"] == {"0": "background", "1": "prostate"}

    del overrides["image_size"]  # the plan has it
    told = shell.run([TRID.config_file("train"), prostate, TRID.config_file("evaluate")], overrides).ok()
    assert "prostate" in told.out
    with open(run.output_dir / "evaluation_domains.csv", newline="") as file:
        assert [row["domain"] for row in csv.DictReader(file)][:4] == ["C", "D", "E", "F"]

    shell.run([TRID.config_file("inference"), prostate], overrides).ok()
    listed = json.loads((run.phantom / "dataset.json").read_text())["test"]
    for case in listed:
        scan = nib.load(run.phantom / case["image"])
        mask = nib.load(run.output_dir / case["image"].split("/")[1].replace(".nii.gz", "_seg.nii.gz"))
        assert mask.shape == scan.shape
        np.testing.assert_allclose(mask.affine, scan.affine, atol=1e-4)
        assert set(np.unique(np.asarray(mask.dataobj))) <= {0, 1}


@pytest.fixture(scope="module")
def recipe():
    return merged("train", "prostate")


def test_recipe(recipe):
    """trid/docs/method.md#prostate."""
    assert (recipe["epochs"], recipe["least_iterations"], recipe["batch_size"]) == (200, 250, 8)
    recipe["train::dataset"] = list(range(1003))
    assert recipe.get_parsed_content("samples_per_epoch") == 2006  # 251 iterations, the list twice
    assert recipe["keep"] == "lowest_loss"
    assert recipe.get_parsed_content("image_size") == [384, 384]
    recipe["train"]["trainer"] = {"max_epochs": 200}
    (group,) = recipe.get_parsed_content("optimizer").param_groups
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (1e-2, 0.99, 5e-4)
    assert not group["nesterov"]
    network = recipe.get_parsed_content("network_def")
    assert network.eval()(torch.rand(1, 3, 64, 64)).shape == (1, 1, 64, 64)


def test_steps_of_training(recipe):
    """Slices clipped, deformed with their masks, changed in brightness, and scaled at the very end."""
    augmentation = recipe.get_parsed_content("augmentation")
    deform, noise, blur, brightness, offset, contrast, low, gamma, *flips = augmentation
    assert (deform.prob, deform.scale, deform.alpha, deform.sigma) == (0.2, (0.85, 1.25), (0, 900), (9, 13))
    assert np.rad2deg(deform.angle) == pytest.approx(15)
    assert tuple(deform.keys) == tuple(flips[0].keys) == tuple(flips[1].keys) == ("image", "label")
    changes = (noise, blur, brightness, offset, contrast, low, gamma)
    assert [t.prob for t in changes] == [0.1, 0.2, 0.15, 0.15, 0.15, 0.25, 0.15]
    assert [t.channel_prob for t in changes[1:]] == [0.5, 1, 0.5, 1, 0.5, 1]
    assert (blur.sigma, brightness.factor, offset.sd) == ((0.5, 1.0), (0.75, 1.25), 0.1)
    assert (contrast.factor, low.zoom, low.in_plane) == ((0.75, 1.25), (0.5, 1.0), False)
    assert (gamma.gamma, gamma.invert, gamma.retain_stats) == ((0.7, 1.5), False, True)
    image = torch.rand(1, 64, 64) * 900
    data = {"image": image, "label": (image > 300).to(torch.uint8)}
    for transform in augmentation:
        if hasattr(transform, "set_random_state"):
            transform.set_random_state(seed=3)
        transform.prob = transform.channel_prob = 1.0
        data = transform(data)
    for transform in recipe.get_parsed_content("intensity_transforms"):
        data = transform(data)
    assert data["image"].shape == (3, 64, 64)
    assert torch.equal(data["image"][0], data["image"][2])
    assert data["image"].mean().abs() < 1e-4
    assert data["image"][0].std() == pytest.approx(1, abs=1e-3)
    assert set(torch.unique(data["label"]).tolist()) <= {0, 1}


@pytest.mark.parametrize("kinds", [("inference", "prostate"), ("train", "prostate", "evaluate")])
@pytest.mark.parametrize(("plan", "size"), [({"image_size": [96, 96]}, [96, 96]), (None, [384, 384])])
def test_prediction_takes_the_size_of_the_weights(kinds, plan, size, tmp_path):
    """The published one only where no plan lies beside them."""
    if plan:
        (tmp_path / "plan.json").write_text(json.dumps({"intensity": [], "labels": {}, **plan}))
    parser = merged(*kinds)
    parser["ckpt_dir"] = str(tmp_path)
    parse_config("trid")
    assert parser.get_parsed_content("image_size") == size


def test_wrong_data_is_one_line(tmp_path):
    """Pictures in place of volumes."""
    from common.phantoms import fundus

    run = Run(TRID, tmp_path / "a run", tmp_path / "phantom")
    fundus.make(run.phantom, training=3, validation=1, test=1, size=32)
    overrides = {**run.base, "dataset_dir": run.phantom, "num_workers": 0}
    told = Shell(ROOT, tmp_path).run([TRID.config_file("train"), TRID.config_file("prostate")], overrides)
    assert "dataset.json" in told.error()
