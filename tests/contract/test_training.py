"""Training from train.json and its overlays, on a tiny phantom.

With the full network or, if quick.json narrows it, once with the full one.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
import torch
from PIL import Image

from common.bundles import parse_config
from tests.contract.bundle import ROOT, TORCHRUN, as_text, config_words, files_of, located, words_of


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


@pytest.mark.always
def test_first_run_leaves_all_that_the_card_promises(bundle, trained):
    run = trained
    bundle.build_network().load_state_dict(weights(run.weights))  # strict: every key and no other
    if bundle.has_plan:
        assert json.loads((run.ckpt_dir / "plan.json").read_text())["labels"]
    rows = rows_of(run)
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert all(float(row["loss"]) > 0 and row[bundle.key_metric] for row in rows)
    for picture in ("curves.png", "preview.png"):
        with Image.open(run.output_dir / picture) as image:
            assert min(image.size) > 100
            assert len(image.convert("L").getcolors()) > 10, f"{picture} is empty"
    assert list(run.output_dir.glob("events.out.tfevents.*"))
    hidden = [file for file in run.written() if Path(file).name.startswith(".")]
    assert not hidden, "temporary files are left"


@pytest.mark.full
def test_full_network_trains(narrowed, make_run, shell):
    """For bundles whose other tests use a narrow one."""
    run, bundle = make_run(), narrowed
    shell.run([bundle.config_file("train")], {**run.full_network_overrides, "epochs": 1}).ok()
    parse_config(bundle.name).get_parsed_content("network_def").load_state_dict(weights(run.weights))


@pytest.mark.always
def test_progress_bar_shows_epoch_and_loss(trained):
    bar = re.findall(r"training: 100%.*", (trained.folder / "stderr.txt").read_text())[-1]
    assert "epoch=2/2" in bar
    assert re.search(r"loss=\d+\.\d+", bar)
    assert re.search(r"\d\d:\d\d<00:00", bar), "time gone and left"


@pytest.mark.full
def test_interrupted_run_resumes_to_the_same_weights(bundle, trained, make_run, shell):
    """After a power cut at the end of epoch 1, the result equals the uninterrupted run's bit for bit."""
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
    same = rows_of(trained)[0].keys() - {"seconds"}
    assert {"epoch", "loss", bundle.key_metric} <= same
    assert [[row[k] for k in same] for row in rows_of(run)] == [
        [row[k] for k in same] for row in rows_of(trained)
    ]


@pytest.mark.full
def test_training_again_replaces_nothing_before_it_has_weights(bundle, drawing, trained, make_run, shell):
    """Cut before its first validation it leaves the earlier weights and plan; then they move as one."""
    run = make_run(weights=True)
    before = {file.name: file.read_bytes() for file in run.ckpt_dir.iterdir() if file.is_file()}
    cut = overlay(
        run.folder.parent,
        **{"+train#handlers": [{"_target_": "tests.contract.stand_in.PowerCut", "epoch": 1}]},
    )
    train = bundle.config_file("train")
    later = {**run.train_overrides, "val_interval": 2, "seed": 1}
    assert shell.run([train, cut], later, path=ROOT).code == 9
    left = {file.name: file.read_bytes() for file in run.ckpt_dir.glob("[!.]*") if file.is_file()}
    assert left == before
    told = shell.run([train], {**later, "seed": 2, "resume": "true"}).error()
    assert "differs from this one in seed (was 1, now 2)" in told
    told = shell.run([train], {**later, "resume": "true"}).ok()
    assert f"are now in {run.folder}/models_previous" in told.out + told.err
    moved = {file.name: file.read_bytes() for file in (run.folder / "models_previous").iterdir()}
    assert moved == before
    assert not equal(weights(run.weights), weights(trained.weights))
    assert not list(run.folder.rglob("unfinished"))


@pytest.mark.full
def test_same_seed_same_weights(bundle, trained, make_run, shell):
    run = make_run()
    shell.run([bundle.config_file("train")], run.train_overrides, fresh=True).ok()
    assert equal(weights(run.weights), weights(trained.weights))


@pytest.mark.full
def test_another_seed_other_weights(drawing, trained, make_run, shell):
    """Otherwise the seed would do nothing, and the test above would pass for the wrong reason."""
    run = make_run()
    shell.run([drawing.config_file("train")], {**run.train_overrides, "seed": 1}).ok()
    assert not equal(weights(run.weights), weights(trained.weights))


@pytest.mark.full
def test_continues_with_cases_given_by_a_program(learner, bundle, trained, make_run, shell):
    """As MONAI Label calls it: its own cases instead of the data set's, another length, and old weights.

    The plan beside the weights is reused, no phantom is made, and weights are saved although the length is
    not a multiple of the validation interval.
    """
    run = make_run(weights=True)
    listed = json.loads((trained.phantom / "dataset.json").read_text())["training"]
    complete = [case for case in listed if set(bundle.case_keys) <= case.keys()]
    cases = [{key: located(case[key], trained.phantom) for key in bundle.case_keys} for case in complete]
    keys = bundle.config("train").keys() & bundle.quick["train"].keys()
    overrides = {key: bundle.quick["train"][key] for key in keys} | {
        **as_text(run.base),
        "dataset_dir#folder": str(run.folder / "data"),
        "epochs": 1,
        "val_interval": 2,
        "train#trainer#max_epochs": 3,
        "train#dataset#data": cases[1:],
        "validate#dataset#data": cases[:1],
    }
    plan = (run.ckpt_dir / "plan.json").read_bytes() if bundle.has_plan else None
    code = (
        "import sys, json, monai.bundle\n"
        "monai.bundle.run(init_id=None, final_id=None, config_file=sys.argv[1], **json.loads(sys.argv[2]))\n"
    )
    shell.python("-c", code, bundle.config_file("train"), json.dumps(overrides)).ok()
    assert [bool(row[bundle.key_metric]) for row in rows_of(run)] == [False, True, True]
    assert not equal(weights(run.weights), weights(trained.weights))
    if bundle.has_plan:
        assert (run.ckpt_dir / "plan.json").read_bytes() == plan
    assert not (run.folder / "data").exists()


def always(augmentation: list) -> dict:
    """Overrides that make every random transform of an augmentation list act every time."""
    found = {}

    def look(node, path):
        pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, value in pairs:
            if isinstance(key, str) and (key.startswith("prob") or key == "channel_prob"):
                found[f"{path}#{key}"] = 1.0
            look(value, f"{path}#{key}")

    look(augmentation, "augmentation")
    return found


@pytest.mark.full
def test_paper_recipe_trains_through_every_augmentation(bundle, make_run, shell):
    """The published recipe on top of train.json; only sizes and lengths are reduced, every transform acts."""
    run = make_run()
    configs = {**bundle.config("train"), **bundle.config("paper")}
    chances = always(configs.get("augmentation", []))
    assert bool(chances) == ("augmentation" in configs)
    overrides = {**run.base, **run.data, **bundle.quick["paper"], **chances}
    shell.run([bundle.config_file("train"), bundle.config_file("paper")], overrides).ok()
    (row,) = rows_of(run)
    assert float(row["loss"]) > 0
    assert run.weights.is_file()


ON_CPU = {"device": "$torch.device('cpu')"}


@pytest.mark.full
def test_two_processes_end_with_equal_weights(bundle, make_run, shell):
    """``torchrun`` on two processes (Gloo on the CPU): gradients, if any, are averaged, one process writes.

    The metrics of the kept weights in metrics.csv are those that one process measures with them.
    """
    run = make_run()
    save = (
        f"$torch.save(@network_def.state_dict(), '{run.folder}/rank' + str(common.processes.rank()) + '.pt')"
    )
    finalize = bundle.config("multi_gpu_train")["finalize"]
    extra = overlay(run.folder.parent, finalize=[save, *finalize])
    files = [bundle.config_file("train"), bundle.config_file("multi_gpu_train"), extra]
    overrides = {**run.train_overrides, **ON_CPU, "keep": "last"}
    shell.python(*TORCHRUN, *config_words(files), *words_of(overrides)).ok()
    first, second = (weights(run.folder / f"rank{rank}.pt") for rank in (0, 1))
    assert equal(first, second)
    assert equal(first, weights(run.weights))
    assert [row["epoch"] for row in rows_of(run)] == ["1", "2"]
    untouched = bundle.build_network().state_dict()
    assert first.keys() == untouched.keys()

    alone = measured_by_one_process(bundle, run)
    assert alone
    assert {key: float(rows_of(run)[-1][key] or "nan") for key in alone} == pytest.approx(
        alone, rel=1e-5, nan_ok=True
    )


def measured_by_one_process(bundle, run) -> dict[str, float]:
    """The validation of train.json with the weights that a run kept."""
    parser = bundle.parse("train", **ON_CPU)
    parser.update(as_text(run.train_overrides))
    parser["validate#handlers"] = []
    parser.get_parsed_content("network_def").load_state_dict(weights(run.weights))
    evaluator = parser.get_parsed_content("validate#evaluator")
    evaluator.run()
    return {name: float(value) for name, value in evaluator.state.metrics.items()}


@pytest.mark.full
def test_two_processes_with_the_same_patches_equal_one(bundle, trained, make_run, shell):
    """The mean of two equal gradients is that gradient: weights and metrics equal those of one process."""
    run = make_run()
    names = [handler["_target_"] for handler in bundle.config("train")["train"]["handlers"]]
    seeded = "common.training.seeding.EpochSeed" in names
    assert seeded or "seed" not in bundle.config("train")
    files = [bundle.config_file("train"), bundle.config_file("multi_gpu_train")]
    if seeded:
        seeding = f"train#handlers#{names.index('common.training.seeding.EpochSeed')}"
        stand_in = {f"{seeding}#_target_": "tests.contract.stand_in.SeedOfEveryProcess"}
        files.append(overlay(run.folder.parent, **stand_in))
    words = (*config_words(files), *words_of({**run.train_overrides, **ON_CPU}))
    shell.python(*TORCHRUN, *words, path=ROOT).ok()
    ours, theirs = weights(run.weights), weights(trained.weights)
    for key, value in theirs.items():
        torch.testing.assert_close(ours[key], value, rtol=1e-5, atol=1e-6)
    assert len(rows_of(run)) == len(rows_of(trained))
    for ours, theirs in zip(rows_of(run), rows_of(trained), strict=True):
        assert ours.keys() == theirs.keys()
        for key in theirs.keys() - {"seconds"}:
            assert float(ours[key] or "nan") == pytest.approx(
                float(theirs[key] or "nan"), rel=1e-4, nan_ok=True
            )


@pytest.mark.full
def test_another_network_trains(learner, bundle, make_run, shell):
    """Users give their own network as an override."""
    run = make_run()
    channels = {
        "in_channels": "@in_channels",
        "out_channels": "$@num_classes - 1" if bundle.is_nested else "@num_classes",
    }
    unet = {
        "_target_": "monai.networks.nets.UNet",
        "spatial_dims": bundle.dims,
        **bundle.quick.get("another_network", channels),
        "channels": [4, 8],
        "strides": [2],
    }
    overrides = {**run.full_network_overrides, "epochs": 1, "network_def": unet}
    shell.run([bundle.config_file("train")], overrides).ok()
    assert any(key.startswith("model.0.") for key in weights(run.weights))


@pytest.mark.full
def test_loss_that_is_not_finite_stops_with_the_files(learner, bundle, make_run, shell):
    """It stops before the weights are touched, and the earlier weights are kept."""
    run = make_run(weights=True)
    before = run.weights.read_bytes()
    overrides = {**run.train_overrides, "learning_rate": 1e30, "iterations_per_epoch": 3}
    error = shell.run([bundle.config_file("train")], overrides).error()
    listed = json.loads((run.phantom / "dataset.json").read_text())["training"]
    found = re.search(r"the loss is (nan|inf).* in epoch 1, iteration [123], on (.*)", error)
    assert found
    files = [file for case in listed for file in files_of(case[bundle.case_keys[0]], run.phantom)]
    assert any(file.name in found.group(2) for file in files)
    assert run.weights.read_bytes() == before
