"""Files and folders that a run cannot use: one line says what and where, and nothing is half-written."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

pytestmark = pytest.mark.full


def write_image(path, voxels):
    nib.save(nib.Nifti1Image(voxels, np.diag([4.5, 4.5, 6.0, 1.0])), path)


def scan(channels=1):
    shape = (20, 18, 12) if channels == 1 else (20, 18, 12, channels)
    return np.random.default_rng(0).integers(-200, 300, shape).astype(np.float32)


@pytest.fixture
def data_set(volumes, tmp_path):
    """A tiny labelled data set on disk with its dataset.json, for tests to spoil."""
    root = tmp_path / "own data"
    root.mkdir()
    label = np.zeros((20, 18, 12), np.uint8)
    label[3:9, 4:12, 2:8] = 1
    count = volumes.input_format["num_channels"]
    for name in ("a", "b", "c"):
        write_image(root / f"{name}.nii.gz", scan(count) + ord(name))
        write_image(root / f"{name}_label.nii.gz", label)
    cases = {name: {"image": f"{name}.nii.gz", "label": f"{name}_label.nii.gz"} for name in "abc"}
    channels = volumes.output_format["channel_def"]
    description = {
        "modality": {str(channel): "CT" for channel in range(count)},
        "labels": channels,
        "training": [cases["a"]],
        "validation": [cases["b"]],
        "test": [cases["c"]],
    }
    (root / "dataset.json").write_text(json.dumps(description))
    return root


def missing(path, _):
    path.unlink()


def truncated(path, _):
    path.write_bytes(path.read_bytes()[:-2000])


def not_an_image(path, _):
    path.write_text("This is a letter.")


def another_channel(path, channels):
    write_image(path, scan(channels + 1))


def with_nan(path, channels):
    voxels = scan(channels)
    voxels[5, 5, 5] = np.nan
    write_image(path, voxels)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (missing, "missing"),
        (truncated, "truncated"),
        (not_an_image, "not an image"),
        (another_channel, "channel"),
        (with_nan, "NaN"),
    ],
)
def test_image_that_cannot_be_predicted(volumes, spoil, says, data_set, make_run, shell):
    run = make_run(weights=True)
    spoil(data_set / "c.nii.gz", volumes.input_format["num_channels"])
    told = shell.run([volumes.config_file("inference")], {**run.base, "dataset_dir": data_set})
    error = told.error()
    assert "c.nii.gz" in error
    assert says in error
    assert not list(run.output_dir.glob("*"))


def test_label_outside_the_classes(volumes, data_set, make_run, shell):
    run = make_run()
    label = np.zeros((20, 18, 12), np.uint8)
    label[2:4] = 77
    write_image(data_set / "a_label.nii.gz", label)
    overrides = {**run.base, **volumes.quick["train"], "dataset_dir": data_set}
    error = shell.run([volumes.config_file("train")], overrides).error()
    assert "a_label.nii.gz" in error
    assert "77" in error
    assert not run.weights.exists()
    assert not (run.ckpt_dir / "plan.json").exists()


@pytest.mark.parametrize(("text", "says"), [("", "JSON"), ("{}", "training has no case")])
def test_empty_dataset_json(volumes, text, says, data_set, make_run, shell):
    run = make_run()
    (data_set / "dataset.json").write_text(text)
    overrides = {**run.base, **volumes.quick["train"], "dataset_dir": data_set}
    error = shell.run([volumes.config_file("train")], overrides).error()
    assert "dataset.json" in error
    assert says in error


def test_no_weights_yet(bundle, make_run, shell):
    """It fails at once, before any image is read or made, and names two ways to get weights."""
    run = make_run()
    overrides = {**run.base, "dataset_dir#folder": run.folder / "data"}
    error = shell.run([bundle.config_file("inference")], overrides).error()
    assert "model.pt: no weights yet" in error
    assert f"bundles/{bundle.name}/configs/train.json" in error
    assert "python -m common.checkpoints import" in error
    assert not (run.folder / "data").exists()


def test_weights_of_another_network(bundle, make_run, shell):
    run = make_run(weights=True)
    other = bundle.quick.get("another_size", {"num_classes": 5})
    error = shell.run([bundle.config_file("inference")], {**run.inference_overrides, **other}).error()
    assert "model.pt: the weights do not fit this network" in error
    assert "num_classes" in error
    assert not list(run.output_dir.glob("*"))


def test_truncated_weights(bundle, make_run, shell):
    run = make_run(weights=True)
    whole = run.weights.read_bytes()
    run.weights.write_bytes(whole[: len(whole) // 2])
    error = shell.run([bundle.config_file("inference")], run.inference_overrides).error()
    assert "model.pt: not a PyTorch checkpoint, or a damaged one" in error


@pytest.mark.parametrize("kind", ["train", "inference"])
def test_output_folder_that_cannot_be_created(bundle, kind, make_run, shell):
    """Found before work starts; the folder is below a regular file, since root may write anywhere else."""
    run = make_run(weights=True)
    (run.folder / "file").touch()
    overrides = run.train_overrides if kind == "train" else run.inference_overrides
    told = shell.run([bundle.config_file(kind)], {**overrides, "output_dir": run.folder / "file" / "eval"})
    assert "cannot write there" in told.error()
    assert "checking data" not in told.err
