"""The bundle's train, evaluate and inference, with and without labels."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import common  # noqa: F401 (makes bundles importable)
from common.phantoms import brain_pair
from common.registration.field_file import read_field
from easr_dcn.network import DivideAndConquerNet
from tests.contract.bundle import ROOT, Bundle, Run, Shell

BUNDLE = Bundle("easr_dcn")
SIZES = {key.removeprefix("dataset_dir#"): value for key, value in BUNDLE.quick["data"].items()}
STRUCTURES = ["cortex", "white matter", "ventricles", "thalamus", "putamen", "caudate"]


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    return Shell(tmp_path_factory.mktemp("elsewhere"), tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Weights that move everything by 3 voxels along the second axis, so that all output is known."""
    folder = tmp_path_factory.mktemp("a run")
    brain_pair.make(folder / "phantom", **SIZES)
    run = Run(BUNDLE, folder, folder / "phantom")
    network = DivideAndConquerNet(3)
    nn.init.zeros_(network.decoder.flow.weight)
    network.decoder.flow.bias.data.copy_(torch.tensor([0.0, 3.0, 0.0]))
    run.ckpt_dir.mkdir()
    torch.save(network.state_dict(), run.weights)
    return run


def rows(file: Path) -> list[dict[str, str]]:
    with open(file, newline="") as lines:
        return list(csv.DictReader(lines))


def own_folder(run: Run, target: Path) -> Path:
    """Two scans in a folder: no list, no labels."""
    target.mkdir()
    pair = json.loads((run.phantom / "dataset.json").read_text())["test"][0]
    for name, role in (("a", "fixed"), ("b", "moving")):
        nib.save(nib.load(run.phantom / pair[role]), target / f"{name}.nii.gz")
    return target


def test_files_of_every_pair(run, shell):
    """Warped image, field in mm, labels and checkerboard on the fixed scan's grid, for every pair."""
    shell.run([BUNDLE.config_file("inference")], run.inference_overrides).ok()
    listed = json.loads((run.phantom / "dataset.json").read_text())["test"]
    for pair in listed:
        name = "_to_".join(Path(pair[role]).name.removesuffix(".nii.gz") for role in ("moving", "fixed"))
        moving, fixed = (nib.load(run.phantom / pair[role]) for role in ("moving", "fixed"))
        warped, label = (nib.load(run.output_dir / f"{name}_{kind}.nii.gz") for kind in ("warped", "label"))
        assert warped.shape == label.shape == fixed.shape
        np.testing.assert_allclose(warped.affine, fixed.affine, atol=1e-4)
        # Both scans of a pair share one grid whose second axis runs forwards: a shift of 3 voxels, 33 mm.
        expected = np.zeros(fixed.shape)
        expected[:, :-3] = moving.get_fdata()[:, 3:]
        np.testing.assert_allclose(warped.get_fdata(), expected, atol=1e-5)
        known = np.asarray(nib.load(run.phantom / pair["moving_label"]).dataobj)
        assert np.array_equal(np.asarray(label.dataobj)[:, :-3], known[:, 3:])
        field, _ = read_field(run.output_dir / f"{name}_field.nii.gz")
        np.testing.assert_allclose(field, np.broadcast_to([0.0, 33.0, 0.0], field.shape), atol=1e-4)
        with Image.open(run.output_dir / f"{name}_checkerboard.png") as picture:
            assert len(picture.convert("L").getcolors()) > 30
    assert len(list(run.output_dir.glob("*_field.nii.gz"))) == len(listed) == 2
    with Image.open(run.output_dir / "preview_inference.png") as picture:
        assert len(picture.convert("L").getcolors()) > 30


def test_folder_without_labels_at_another_spacing(run, shell, tmp_path):
    """The network works on a coarser grid; the files are on the fixed scan's own."""
    folder = own_folder(run, tmp_path / "own scans")
    places = {**run.base, "output_dir": tmp_path / "eval"}
    settings = {"dataset_dir": folder, "fixed": folder / "b.nii.gz", "spacing": [18, 18, 18]}
    shell.run([BUNDLE.config_file("inference")], {**places, **settings}).ok()
    written = sorted(file.name for file in (tmp_path / "eval").glob("*.nii.gz"))
    assert written == ["a_to_b_field.nii.gz", "a_to_b_warped.nii.gz"]
    field, affine = read_field(tmp_path / "eval" / "a_to_b_field.nii.gz")
    fixed = nib.load(folder / "b.nii.gz")
    assert field.shape[:3] == fixed.shape
    np.testing.assert_allclose(affine, fixed.affine, atol=1e-4)
    np.testing.assert_allclose(field, np.broadcast_to([0.0, 54.0, 0.0], field.shape), atol=1e-3)


def test_evaluation_writes_its_tables(run, shell):
    """Structures in one, pairs in the other, both before and after; nothing is trained."""
    files = [BUNDLE.config_file("train"), BUNDLE.config_file("evaluate")]
    told = shell.run(files, run.train_overrides).ok()
    structures = rows(run.output_dir / "evaluation_cases.csv")
    assert [row["name"] for row in structures] == 2 * STRUCTURES
    assert all(
        float(row["dice"]) < float(row["dice_before"]) for row in structures if row["name"] == "cortex"
    )
    assert all(float(row["surface_mm"]) > 0 for row in structures if row["name"] == "cortex")
    pairs = rows(run.output_dir / "evaluation_pairs_cases.csv")
    assert len(pairs) == 2
    assert all(" to " in row["case"] and float(row["folded_share"]) == 0 for row in pairs)
    assert all(float(row["ncc"]) < float(row["ncc_before"]) < 1 for row in pairs)
    assert "mean over classes" in told.out
    assert not (run.ckpt_dir / "checkpoint.pt").exists(), "an evaluation trains nothing"


@pytest.mark.full
def test_trains_and_evaluates_without_labels(run, shell, tmp_path):
    """Only single scans: without structures, only the images count."""
    folder = own_folder(run, tmp_path / "own scans")
    scans = [{"image": "a.nii.gz"}, {"image": "b.nii.gz"}]
    lists = {"training": scans, "validation": scans[1:], "test": scans[1:]}
    (folder / "dataset.json").write_text(json.dumps(lists))
    places = {"output_dir": tmp_path / "eval", "ckpt_dir": tmp_path / "models", "dataset_dir": folder}
    settings = {**places, **BUNDLE.quick["train"], "epochs": 1}
    shell.run([BUNDLE.config_file("train")], settings).ok()
    (row,) = rows(tmp_path / "eval" / "metrics.csv")
    assert 0.5 < float(row["ncc"]) < 1
    assert row["dice"] == ""
    shell.run([BUNDLE.config_file("train"), BUNDLE.config_file("evaluate")], settings).ok()
    (pair,) = rows(tmp_path / "eval" / "evaluation_pairs_cases.csv")
    assert pair["case"] == "b.nii.gz to a.nii.gz"


def test_check_command(run, shell, tmp_path):
    folder = own_folder(run, tmp_path / "own scans")
    (folder / "dataset.json").write_text(json.dumps({"training": [{"image": f"{n}.nii.gz"} for n in "ab"]}))
    words = ("-m", "common.datasets", "check", folder, "--bundle", "easr_dcn")
    assert "2 cases checked, nothing to repair" in shell.python(*words, path=ROOT).ok().out
    (folder / "b.nii.gz").unlink()
    told = shell.python(*words, path=ROOT)
    assert told.code == 1
    assert "training[1].image" in told.out
