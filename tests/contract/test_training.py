"""Training from train.json and what lies on top of it, with the full network on a tiny phantom."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
import torch
from PIL import Image

from common.bundles import parse_config
from tests.contract.bundle import ROOT, config_words, words_of


def weights(path: Path):
    return torch.load(path, weights_only=True)


def equal(one, other) -> bool:
    assert one.keys() == other.keys()
    return all(torch.equal(one[key], other[key]) for key in one)


def rows_of(run):
    with open(run.output_dir / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


def overlay(folder: Path, **config) -> Path:
    path = folder / "overlay.json"
    path.write_text(json.dumps(config))
    return path


def test_first_run_leaves_all_that_the_card_promises(bundle, trained):
    run = trained
    network = parse_config(bundle.name).get_parsed_content("network_def")
    network.load_state_dict(weights(run.weights))  # strict: every key, no other
    assert json.loads((run.ckpt_dir / "plan.json").read_text())["labels"]
    rows = rows_of(run)
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert all(float(row["loss"]) > 0 and row["dice"] for row in rows)
    for picture in ("curves.png", "preview.png"):
        with Image.open(run.output_dir / picture) as image:
            assert min(image.size) > 100
            assert len(image.convert("L").getcolors()) > 10, f"{picture} is empty"
    assert list(run.output_dir.glob("events.out.tfevents.*"))
    hidden = [file for file in run.written() if Path(file).name.startswith(".")]
    assert not hidden, "temporary files are left"


def test_progress_bar_shows_epoch_and_loss(trained):
    bar = re.findall(r"training: 100%.*", (trained.folder / "stderr.txt").read_text())[-1]
    assert "epoch=2/2" in bar
    assert re.search(r"loss=\d+\.\d+", bar)
    assert re.search(r"\d\d:\d\d<00:00", bar), "time gone and left"


@pytest.mark.slow
def test_interrupted_run_resumes_to_the_same_weights(bundle, trained, make_run, shell):
    """A power cut after the first epoch costs nothing: the end is bit for bit that of the unbroken run."""
    run = make_run()
    cut = overlay(
        run.folder.parent,
        **{"+train#handlers": [{"_target_": "tests.contract.stand_in.PowerCut", "epoch": 1}]},
    )
    train = bundle.config_file("train")
    assert shell.run([train, cut], run.train_overrides, path=ROOT).code == 9
    assert [row["epoch"] for row in rows_of(run)] == ["1"]

    told = shell.run([train], {**run.train_overrides, "resume": "true"}).ok()
    assert re.search(r"training: +50%", told.err), "the bar goes on where the run stood"
    assert equal(weights(run.weights), weights(trained.weights))
    ours, theirs = (weights(r.ckpt_dir / "checkpoint.pt")["network"] for r in (run, trained))
    assert equal(ours, theirs)
    same = ("epoch", "learning_rate", "loss", "dice")
    assert [[row[k] for k in same] for row in rows_of(run)] == [
        [row[k] for k in same] for row in rows_of(trained)
    ]


def test_same_seed_same_weights(bundle, trained, make_run, shell):
    run = make_run()
    shell.run([bundle.config_file("train")], run.train_overrides).ok()
    assert equal(weights(run.weights), weights(trained.weights))


def test_another_seed_other_weights(bundle, trained, make_run, shell):
    """Else the seed would do nothing, and the test above would pass for the wrong reason."""
    run = make_run()
    shell.run([bundle.config_file("train")], {**run.train_overrides, "seed": 1}).ok()
    assert not equal(weights(run.weights), weights(trained.weights))


def always(augmentation: list) -> dict:
    """Overrides that make every random transform of an augmentation list act."""
    found = {}

    def look(node, path):
        pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, value in pairs:
            if isinstance(key, str) and (key.startswith("prob") or key == "channel_prob"):
                found[f"{path}#{key}"] = 1.0
            look(value, f"{path}#{key}")

    look(augmentation, "augmentation")
    return found


def test_paper_recipe_trains_through_every_augmentation(bundle, make_run, shell):
    """The published recipe on top of train.json; only sizes and lengths are small, and no chance left out."""
    run = make_run()
    configs = {**bundle.config("train"), **bundle.config("paper")}
    chances = always(configs["augmentation"])
    assert chances
    overrides = {**run.places, **run.data, **bundle.quick["paper"], **chances}
    shell.run([bundle.config_file("train"), bundle.config_file("paper")], overrides).ok()
    (row,) = rows_of(run)
    assert float(row["loss"]) > 0
    assert run.weights.is_file()


@pytest.mark.slow
def test_two_processes_end_with_equal_weights(bundle, make_run, shell):
    """``torchrun`` on two processes (Gloo on the CPU): gradients are averaged, one process writes."""
    run = make_run()
    save = (
        f"$torch.save(@network_def.state_dict(), '{run.folder}/rank' + str(common.processes.rank()) + '.pt')"
    )
    finalize = bundle.config("multi_gpu_train")["finalize"]
    extra = overlay(run.folder.parent, finalize=[save, *finalize])
    files = [bundle.config_file("train"), bundle.config_file("multi_gpu_train"), extra]
    overrides = {**run.train_overrides, "device": "$torch.device('cpu')"}
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", 2)
    shell.python(*launch, "-m", "monai.bundle", "run", *config_words(files), *words_of(overrides)).ok()
    first, second = (weights(run.folder / f"rank{rank}.pt") for rank in (0, 1))
    assert equal(first, second)
    assert [row["epoch"] for row in rows_of(run)] == ["1", "2"]
    untouched = parse_config(bundle.name).get_parsed_content("network_def").state_dict()
    assert first.keys() == untouched.keys()


def test_another_network_trains(bundle, make_run, shell):
    """Whoever has a network of her own gives it as an override (user_wishes.md, 2)."""
    run = make_run()
    dims = len(bundle.input_format["spatial_shape"])
    unet = {
        "_target_": "monai.networks.nets.UNet",
        "spatial_dims": dims,
        "in_channels": "@in_channels",
        "out_channels": "@num_classes",
        "channels": [4, 8],
        "strides": [2],
    }
    shell.run([bundle.config_file("train")], {**run.train_overrides, "epochs": 1, "network_def": unet}).ok()
    assert any(key.startswith("model.0.") for key in weights(run.weights))


def test_loss_that_is_not_finite_stops_with_the_files(bundle, make_run, shell):
    """Before the weights are touched, and the weights of before stay."""
    run = make_run(weights=True)
    before = run.weights.read_bytes()
    overrides = {**run.train_overrides, "learning_rate": 1e30, "iterations_per_epoch": 3}
    error = shell.run([bundle.config_file("train")], overrides).error()
    assert re.search(
        r"the loss is (nan|inf).* in epoch 1, iteration [23], on .*training_00\d\.nii\.gz", error
    )
    assert run.weights.read_bytes() == before
