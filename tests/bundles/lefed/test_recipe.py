"""The published recipe (lefed/docs/method.md#recipe) as the configs hold it."""

from __future__ import annotations

import json

import pytest
import torch
from monai.bundle import ConfigParser
from torch import nn

import common  # noqa: F401 (makes bundles importable)
from tests.contract.bundle import Bundle


@pytest.fixture(scope="module")
def recipe():
    """train.json with paper.json on top, unresolved."""
    bundle = Bundle("lefed")
    parser = ConfigParser()
    parser.read_config([str(bundle.config_file("train")), str(bundle.config_file("paper"))])
    return parser


def test_length_and_learning_rate(recipe):
    """15,000 iterations of three passes; the rate falls to a tenth every 2500."""
    assert recipe["epochs"] * recipe["iterations_per_epoch"] == 15_000
    assert recipe["lr_step_epochs"] * recipe["iterations_per_epoch"] == 2_500
    assert recipe["lr_scheduler"] == {
        "_target_": "torch.optim.lr_scheduler.StepLR",
        "optimizer": "@optimizer",
        "step_size": "@lr_step_epochs",
        "gamma": 0.1,
    }
    assert recipe["passes"] == 3
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=recipe["learning_rate"])
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, recipe["lr_step_epochs"], gamma=0.1)
    for _ in range(125):  # 12,500 iterations
        optimizer.step()
        scheduler.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(1e-7)


def test_optimiser_batch_and_weights(recipe):
    optimizer = recipe["optimizer"]
    assert (optimizer["momentum"], optimizer["weight_decay"]) == (0.9, 1e-4)
    assert (recipe["learning_rate"], recipe["seed"]) == (0.01, 1337)
    assert (recipe["labelled_batch_size"], recipe["unlabelled_batch_size"]) == (2, 2)
    assert recipe["loss"]["side_weights"] == [0.1, 0.2, 0.4, 0.6, 0.8]  # bottleneck first
    assert recipe["feedback_scale"] == 1e-3
    assert recipe["bottleneck_feedback"] is True
    assert (recipe["network_def"]["dropout"], recipe["network_def"]["head_dropout"]) == (0.3, 0.5)
    ramp_up = ConfigParser({"ramp_up": recipe["ramp_up"]}).get_parsed_content("ramp_up")
    assert [ramp_up(iteration) for iteration in (0, 7_000, 14_999)] == [1.0, 1.0, 1.0]


def test_patch_windows_and_intensity(recipe):
    assert recipe["patch_size"] == [112, 112, 80]
    assert recipe["stride"] == [18, 18, 4]
    assert recipe["intensity"] == "as_is"


def test_card_quotes_the_configs():
    bundle = Bundle("lefed")
    card = (bundle.root / "docs" / "README.md").read_text()
    train = json.loads(bundle.config_file("train").read_text())
    patch = " x ".join(map(str, train["patch_size"]))
    assert f"patch {patch}, {train['epochs'] * train['iterations_per_epoch']} iterations" in card
