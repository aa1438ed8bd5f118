"""Bundles that register: the moving image on the fixed one's grid, and the field in millimetres."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from PIL import Image
from scipy.ndimage import map_coordinates

from common.registration.field_file import read_field
from tests.contract.bundle import Bundle, Run

RUNS = {
    "inference": "test_warped_image_is_the_moving_one_along_the_field",
    "evaluate": "test_evaluation_scores_every_pair",
}
SHARED: set[str] = set()
TAKES_DROPOUT = False
#: How the two images of a pair are stored: both differently from what the network sees.
STORED = {"moving": "PIR", "fixed": "LSA"}


def check_channels(bundle: Bundle) -> None:
    """The input is a pair in two channels; a displacement has one channel per axis."""
    assert bundle.input_format["num_channels"] == 2
    assert bundle.output_format["num_channels"] == bundle.dims == bundle.classes
    assert "background" not in bundle.output_format["channel_def"].values()


def stored_otherwise(run: Run, target: Path) -> list[dict[str, str]]:
    """The test pairs with their files' axes reordered, at the same world positions."""
    target.mkdir()
    pairs = []
    for number, case in enumerate(json.loads((run.phantom / "dataset.json").read_text())["test"]):
        pair = {}
        for role, axes in STORED.items():
            image = nib.load(run.phantom / case[role])
            turn = ornt_transform(io_orientation(image.affine), axcodes2ornt(axes))
            pair[role] = f"{role}_{number}.nii.gz"
            nib.save(image.as_reoriented(turn), target / pair[role])
        pairs.append(pair)
    (target / "dataset.json").write_text(json.dumps({"test": pairs}))
    return pairs


@pytest.mark.always
def test_warped_image_is_the_moving_one_along_the_field(bundle, make_run, shell, tmp_path):
    """A point p of the fixed image lies at p + u(p) in the moving one, in world millimetres."""
    run = make_run(weights=True)
    pairs = stored_otherwise(run, tmp_path / "pairs")
    overrides = {**run.base, "dataset_dir": tmp_path / "pairs"}
    shell.run([bundle.config_file("inference")], overrides).ok()
    for pair in pairs:
        name = "_to_".join(pair[role].removesuffix(".nii.gz") for role in ("moving", "fixed"))
        moving, fixed = (nib.load(tmp_path / "pairs" / pair[role]) for role in ("moving", "fixed"))
        warped = nib.load(run.output_dir / f"{name}_warped.nii.gz")
        field, affine = read_field(run.output_dir / f"{name}_field.nii.gz")
        assert warped.shape == fixed.shape == field.shape[:3]
        np.testing.assert_allclose(warped.affine, fixed.affine, atol=1e-4)
        np.testing.assert_allclose(affine, fixed.affine, atol=1e-4)
        assert np.abs(field).max() > 1e-3, "no test if nothing moves"
        index = np.stack(np.meshgrid(*map(np.arange, fixed.shape), indexing="ij"), -1)
        places = index @ affine[:3, :3].T + affine[:3, 3] + field
        back = np.linalg.inv(moving.affine)
        there = places @ back[:3, :3].T + back[:3, 3]
        inside = ((there >= 0) & (there <= np.array(moving.shape) - 1)).all(-1)
        assert inside.mean() > 0.5
        expected = map_coordinates(moving.get_fdata(), there[inside].T, order=1)
        scale = np.ptp(moving.get_fdata())
        np.testing.assert_allclose(warped.get_fdata()[inside], expected, atol=1e-3 * scale)
    with Image.open(run.output_dir / "preview_inference.png") as picture:
        assert len(picture.convert("L").getcolors()) > 30


@pytest.mark.always
def test_evaluation_scores_every_pair(bundle, make_run, shell):
    """Structures before and after, and each pair's image similarity; nothing is trained."""
    run = make_run(weights=True)
    shell.run([bundle.config_file("train"), bundle.config_file("evaluate")], run.train_overrides).ok()
    listed = json.loads((run.phantom / "dataset.json").read_text())["test"]
    tables = {}
    for part in ("cases", "pairs_cases"):
        with open(run.output_dir / f"evaluation_{part}.csv", newline="") as file:
            tables[part] = list(csv.DictReader(file))
    assert len(tables["pairs_cases"]) == len(listed) > 1
    assert len(tables["cases"]) % len(listed) == 0
    for row in tables["cases"]:
        assert 0 <= float(row["dice_before"]) <= 1
        assert 0 <= float(row["dice"]) <= 1
    for row in tables["pairs_cases"]:
        assert 0 <= float(row["folded_share"]) <= 1
    assert not (run.ckpt_dir / "checkpoint.pt").exists(), "an evaluation trains nothing"
