"""Networks and plans: segrap2023/docs/method.md#network."""

from __future__ import annotations

import logging

import pytest
import torch

import common  # noqa: F401 (makes bundles importable)
from common.bundles import bundle_folder, parse_config
from common.checkpoints.store import save_state
from common.errors import InputError
from common.networks.plain_unet.network import PlainUNet
from common.transforms.nnunet_crops import enlarged_size
from common.transforms.spatial import acts_in_plane, rotation_range
from segrap2023.checkpoint import from_authors, start_from
from segrap2023.network import UNet3D
from segrap2023.plans import plan_of
from tests.contract.resolved import Resolved, read


def parameters(network) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_numbers_of_parameters():
    assert parameters(parse_config("segrap2023").get_parsed_content("network_def")) == 1_328_055
    assert parameters(UNet3D(out_channels=3, deep_supervision=True)) == 1_327_852
    plan = plan_of("organs", "full")
    with torch.device("meta"):
        network = PlainUNet(
            2, 55, kernels=plan["kernels"], strides=plan["strides"], widths=plan["widths"], deep_supervision=1
        )
    biases = sum(p.numel() for key, p in network.named_parameters() if key.endswith("conv.bias"))
    assert parameters(network) - biases + 55 == 30_555_991  # DynUNet's: no biases, but one of the head


@pytest.mark.parametrize(
    ("task", "resolution", "crop"),
    [
        ("organs", "full", [28, 263, 263]),
        ("organs", "low", [178, 289, 200]),
        ("tumours", "full", [28, 301, 301]),
        ("tumours", "low", [178, 308, 233]),
    ],
)
def test_the_plans_give_the_published_crops(task, resolution, crop):
    plan = plan_of(task, resolution)
    in_plane = acts_in_plane(plan["patch_size"])
    assert in_plane == (resolution == "full")
    assert enlarged_size(plan["patch_size"], rotation_range(in_plane), in_plane) == crop
    assert len(plan["kernels"]) == len(plan["widths"]) == len(plan["strides"]) + 1
    steps = [1, 1, 1]
    for stride in plan["strides"]:
        steps = [a * b for a, b in zip(steps, stride, strict=True)]
    assert all(side % step == 0 for side, step in zip(plan["patch_size"], steps, strict=True))


FLAT, CUBE, PLANE, ALL = [1, 3, 3], [3, 3, 3], [1, 2, 2], [2, 2, 2]


@pytest.mark.parametrize(
    ("task", "resolution", "spacing", "patch", "kernels", "strides"),
    [
        (
            "organs",
            "full",
            [3, 0.542, 0.542],
            [28, 224, 224],
            [FLAT] * 2 + [CUBE] * 4,
            [PLANE] * 2 + [ALL] * 2,
        ),
        ("organs", "low", [3.886, 1.956, 1.956], [64, 192, 160], [CUBE] * 6, [ALL] * 4),
        (
            "tumours",
            "full",
            [3, 0.542, 0.542],
            [28, 256, 256],
            [FLAT] * 2 + [CUBE] * 5,
            [PLANE] * 2 + [ALL] * 2 + [PLANE],
        ),
        ("tumours", "low", [3.661, 1.843, 1.843], [64, 192, 192], [CUBE] * 6, [ALL] * 4),
    ],
)
def test_what_was_planned(task, resolution, spacing, patch, kernels, strides):
    assert plan_of(task, resolution) == {
        "spacing": spacing,
        "patch_size": patch,
        "kernels": kernels,
        "strides": [*strides, PLANE],
        "widths": [32, 64, 128, 256, 320, 320, 320][: len(kernels)],
    }


@pytest.mark.parametrize(
    ("task", "resolution", "weights"),
    [
        ("organs", "full", [8 / 15, 4 / 15, 2 / 15, 1 / 15, 0]),
        ("organs", "low", [8 / 15, 4 / 15, 2 / 15, 1 / 15, 0]),
        ("tumours", "full", [16 / 31, 8 / 31, 4 / 31, 2 / 31, 1 / 31, 0]),
        ("tumours", "low", [8 / 15, 4 / 15, 2 / 15, 1 / 15, 0]),
    ],
)
def test_each_scale_weighs_half_of_the_next_finer_and_the_coarsest_nothing(task, resolution, weights):
    """By the number of poolings; Dice is pooled over the batch at full resolution alone."""
    layers = ["train", *(["gtv"] if task == "tumours" else []), "nnunet"]
    config = Resolved(read(bundle_folder("segrap2023") / "configs", layers) | {"resolution": resolution})
    assert config.at("loss#weights") == pytest.approx(weights)
    assert config.at("loss#loss#batch") == (resolution == "full")
    assert (config.at("learning_rate"), config.at("foreground_share")) == (0.01, 0.33)
    if task == "tumours":
        assert [flip["spatial_axis"] for flip in config.at("flips")] == [0, 1, 2]


def test_there_are_no_other_plans():
    with pytest.raises(InputError, match=r"organs at 'half' resolution; expected one of: organs at full"):
        plan_of("organs", "half")


@pytest.mark.parametrize("prefix", ["", "module."])
def test_both_published_layouts_become_ours(prefix):
    theirs = {
        f"{prefix}decoder.out_conv.weight": torch.ones(1),
        f"{prefix}encoder.in_conv.conv_conv.0.bias": 0,
    }
    assert set(from_authors(theirs)) == {"heads.0.weight", "encoder.0.0.bias"}
    theirs = {f"{prefix}tu.0.weight": torch.ones(1), f"{prefix}seg_outputs.0.weight": torch.ones(2)}
    assert set(from_authors(theirs)) == {"decoder.levels.0.up.weight", "heads.0.weight"}


def test_other_weights_are_a_start_and_what_is_left_out_is_named(tmp_path, caplog):
    """UniSeg's file has further keys, and heads of other tasks."""
    network = PlainUNet(2, 3, widths=(2, 3), strides=(2,), kernels=(3, 3))
    theirs = {
        "conv_blocks_context.0.blocks.0.conv.weight": torch.full((2, 2, 3, 3, 3), 0.25),
        "tu.0.weight": torch.ones(3, 2, 2, 2, 2),
        "seg_outputs.0.weight": torch.ones(7, 2, 1, 1, 1),
        "intermedia_prompt": torch.ones(2),
    }
    file = tmp_path / "UniSeg.model"
    torch.save({"epoch": 1, "state_dict": theirs}, file)
    before = network.heads[0].weight.clone()
    with caplog.at_level(logging.INFO):
        start_from(network, file)
    assert torch.all(network.encoder.stages[0][0].conv.weight == 0.25)
    assert torch.equal(network.heads[0].weight, before), "of another shape: stays random"
    for told in ("1 left over: intermedia_prompt", "1 of another shape: heads.0.weight", "missing"):
        assert told in caplog.text
    start_from(network, None)
    with pytest.raises(InputError, match=r"other\.pt"):
        start_from(network, tmp_path / "other.pt")


def test_our_own_weights_are_a_start_too(tmp_path):
    first, second = (UNet3D(out_channels=3, widths=(2, 2), dropout=0.0) for _ in range(2))
    save_state(first, tmp_path / "model.pt")
    start_from(second, tmp_path / "model.pt")
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
