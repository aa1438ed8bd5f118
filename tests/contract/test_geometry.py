"""Predictions lie on the anatomy, however a scan is stored."""

from __future__ import annotations

import itertools
import json

import nibabel as nib
import numpy as np
import pytest
import torch
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, ornt_transform

from tests.contract.bundle import ROOT

CLASSES = 3
# Intensities of the classes; the plan below divides by 100.  The background's is between the others, so that
# a blurred edge of one box never looks like the other.
HU = (0.0, -700.0, 700.0)

# Boxes in world millimetres (R, A, S), lowest and highest corner: without any symmetry.
BOXES = {
    1: ((-45, -40, -30), (-5, 20, 10)),
    2: ((5, -45, -35), (45, -5, 35)),
}


def labels_at(world: np.ndarray) -> np.ndarray:
    """The class at points (..., 3) in world millimetres."""
    label = np.zeros(world.shape[:-1], np.uint8)
    for value, (low, high) in BOXES.items():
        label[((world >= low) & (world < high)).all(-1)] = value
    return label


def rotation(*degrees: float) -> np.ndarray:
    matrix = np.eye(3)
    for (a, b), angle in zip(((1, 2), (2, 0), (0, 1)), np.deg2rad(degrees), strict=True):
        turn = np.eye(3)
        turn[[a, b, a, b], [a, b, b, a]] = np.cos(angle), np.cos(angle), -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return matrix


def grid(
    axcodes: str, spacing, extent=(120.0, 124.0, 110.0), turn=None
) -> tuple[tuple[int, ...], np.ndarray]:
    """Shape and affine of a volume around the origin whose axes point along ``axcodes``, perhaps rotated."""
    shape = np.ceil(np.asarray(extent) / spacing).astype(int)
    ras = np.diag([*spacing, 1.0])
    ras[:3, 3] = -(shape - 1) * np.asarray(spacing) / 2
    to = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(tuple(axcodes)))
    affine = ras @ inv_ornt_aff(to, tuple(shape))
    order = np.argsort(to[:, 0])
    if turn is not None:
        affine[:3] = turn @ affine[:3]
    return tuple(int(n) for n in shape[order]), affine


GRIDS = {
    "RAS": grid("RAS", (2.0, 2.0, 3.0)),
    "LPS": grid("LPS", (2.0, 2.0, 3.0)),
    "SPL": grid("SPL", (2.5, 2.0, 2.0)),
    "ASR_anisotropic": grid("ASR", (1.5, 2.5, 5.0)),
    "oblique": grid("LAS", (2.0, 2.2, 3.1), turn=rotation(12, -7, 25)),
    "oblique_permuted": grid("PIR", (1.8, 2.0, 4.0), turn=rotation(-15, 9, -20)),
}


def volume(name: str) -> tuple[np.ndarray, np.ndarray]:
    shape, affine = GRIDS[name]
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    return labels_at(index @ affine[:3, :3].T + affine[:3, 3]), affine


def centre(mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Centre of mass in world millimetres."""
    return affine[:3, :3] @ np.argwhere(mask).mean(0) + affine[:3, 3]


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * (one & other).sum() / max(one.sum() + other.sum(), 1)


@pytest.fixture(scope="module")
def predicted(volumes, shell, tmp_path_factory):
    """All grids through the bundle's own inference.json, with a network whose output is known."""
    bundle = volumes
    folder = tmp_path_factory.mktemp("geometry of") / "my scans"
    for part in ("scans", "models"):
        (folder / part).mkdir(parents=True)
    channels = bundle.input_format["num_channels"]
    for name in GRIDS:
        label, affine = volume(name)
        image = np.asarray(HU, np.float32)[label]
        image = np.repeat(image[..., None], channels, -1) if channels > 1 else image
        nib.save(nib.Nifti1Image(image, affine), folder / "scans" / f"{name}.nii.gz")
    settings = {
        "spacing": [3.0, 2.0, 2.0],
        "intensity": [{"scheme": "ct", "clip": [-1000, 1000], "mean": 0.0, "sd": 100.0}] * channels,
        "labels": {str(c): f"box {c}" for c in BOXES},
        "patch_size": [32, 48, 32],
        "mirror_axes": [0, 1, 2],
        "stride": [16, 24, 16],
    }
    read = bundle.config("inference")["plan"]["default"]  # what this bundle reads from its plan
    plan = {key: settings.get(key, value) for key, value in read.items()}
    (folder / "models" / "plan.json").write_text(json.dumps(plan))
    torch.save({"centres": torch.tensor(HU) / 100}, folder / "models" / "model.pt")
    stand_in = {
        "_target_": "tests.contract.stand_in.BandNetwork",
        "in_channels": "@in_channels",
        "out_channels": "@num_classes",
    }
    overrides = {
        "dataset_dir": folder / "scans",
        "output_dir": folder / "eval",
        "ckpt_dir": folder / "models",
        "num_classes": CLASSES,
        "network_def": stand_in,
        **bundle.quick.get("plain_inference", {}),
    }
    shell.run([bundle.config_file("inference")], overrides, path=ROOT).ok()
    return folder


@pytest.mark.always
@pytest.mark.parametrize("name", GRIDS)
def test_prediction_lies_on_the_anatomy(predicted, name):
    label, affine = volume(name)
    mask = nib.load(predicted / "eval" / f"{name}_seg.nii.gz")
    assert mask.shape == label.shape
    np.testing.assert_allclose(mask.affine, affine, atol=1e-3)
    values = np.asarray(mask.dataobj)
    for c in BOXES:
        assert dice(values == c, label == c) > 0.95, f"class {c}"
        off = centre(values == c, affine) - centre(label == c, affine)
        assert np.linalg.norm(off) < 0.5, f"class {c} is {off} mm off"  # a shift by one voxel is 1.5 to 5 mm


@pytest.mark.parametrize("name", GRIDS)
def test_every_flip_would_be_seen(name):
    """The boxes are placed so that any flip takes the Dice below the bound of the test above."""
    label, _ = volume(name)
    axes = range(3)
    flips = [list(f) for n in (1, 2, 3) for f in itertools.combinations(axes, n)]
    for flip in flips:
        wrong = np.flip(label, flip)
        assert min(dice(wrong == c, label == c) for c in BOXES) < 0.7


@pytest.mark.always
@pytest.mark.parametrize("kind", ["inference", "evaluate"])
def test_probabilities_are_decided_on_the_scans_own_grid(bundle, volumes, kind):
    """By default, unless labels are asked for; the phantom above is so large that labels would pass too."""
    config = bundle.config(kind)
    key = "postprocessing" if kind == "inference" else "validate#postprocessing"
    transforms = config[key]["transforms"]
    (decide,) = [one for one in transforms if one["_target_"].endswith("DecideOnOwnGridd")]
    assert decide["_target_"] == "common.inference.decision.DecideOnOwnGridd"
    assert (decide["resample"], config["resample"]) == ("@resample", "probabilities")
    assert "Invertd" not in {one["_target_"] for one in transforms}
