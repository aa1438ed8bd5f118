"""The phantom ``kidney_cta``: thin vessels that branch, and tumors that look like the kidney."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt
from scipy.ndimage import label as components

from common.errors import InputError
from common.evaluation.baselines import baseline_dice, mean_dice
from common.phantoms import kidney_cta

VEIN, KIDNEY, ARTERY, TUMOR = 1, 2, 3, 4
SIZES = {"training": 3, "validation": 0, "test": 1}
COARSE = {"training": 1, "validation": 0, "test": 0, "shape": (24, 24, 32), "spacing": (4.2, 4.2, 4.2)}
ANY_NEIGHBOUR = np.ones((3, 3, 3))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return kidney_cta.make(tmp_path_factory.mktemp("data") / "kidney_cta", **SIZES)


@pytest.fixture(scope="module")
def cases(folder):
    dataset = json.loads(Path(folder, "dataset.json").read_text())
    entries = dataset["training"] + dataset["test"]
    return [tuple(nib.load(Path(folder, e[key])) for key in ("image", "label")) for e in entries]


def voxels(nifti) -> np.ndarray:
    return np.asarray(nifti.dataobj)


def test_files(folder, cases):
    labels = json.loads(Path(folder, "dataset.json").read_text())["labels"]
    assert list(labels.values()) == ["background", "renal vein", "kidney", "renal artery", "tumor"]
    for image, label in cases:
        assert (image.get_data_dtype(), label.get_data_dtype()) == (np.int16, np.uint8)
        assert image.shape == label.shape == (72, 72, 96)
        np.testing.assert_array_equal(image.affine, label.affine)
        assert nib.aff2axcodes(image.affine) == ("L", "A", "S")
        assert np.allclose(image.header.get_zooms(), 1.4, rtol=0.065)
        assert set(np.unique(voxels(label))) == {0, 1, 2, 3, 4}


def test_volumes(cases):
    """A tumor has 5 to 60 mL; kidneys have 100 to 250 mL, less what a tumor takes."""
    for _, label in cases:
        ml = np.bincount(voxels(label).ravel()) * abs(np.linalg.det(label.affine[:3, :3])) / 1000
        assert 0.8 < ml[VEIN] < 6
        assert 35 < ml[KIDNEY] < 300
        assert 0.8 < ml[ARTERY] < 5
        assert 5 < ml[TUMOR] < 60


@pytest.mark.parametrize("vessel", [VEIN, ARTERY])
def test_vessels_are_two_to_four_voxels_wide_and_branch(cases, vessel):
    for _, label in cases:
        mask = voxels(label) == vessel
        assert 1.4 < distance_transform_edt(mask).max() < 3.0  # (width + 1) / 2
        pieces, _ = components(mask, ANY_NEIGHBOUR)
        assert np.bincount(pieces.ravel())[1:].max() > 0.6 * mask.sum()
        crossed = [components(plane, ANY_NEIGHBOUR[0])[1] for plane in mask]
        assert max(crossed) >= 3, "sagittal planes through the kidney cross several branches"


def test_attenuation_of_the_arterial_phase(cases):
    for image, label in cases:
        hu = [voxels(image)[voxels(label) == value].mean() for value in range(5)]
        assert hu[ARTERY] > hu[VEIN] + 15
        assert 190 < hu[ARTERY] < 400  # partial volume takes some
        assert 110 < hu[VEIN] < 250
        assert 110 < hu[KIDNEY] < 220


def test_edges_of_tumors_are_weak_and_other_vessels_as_bright(cases):
    for image, label in cases:
        hu, mask = voxels(image), voxels(label)
        kidney, tumor, artery = (hu[mask == value] for value in (KIDNEY, TUMOR, ARTERY))
        assert abs(np.median(tumor) - np.median(kidney)) < 3 * kidney.std()
        as_bright = mask[hu > np.percentile(artery, 25)]
        assert (as_bright == ARTERY).mean() < 0.4  # the aorta and bones are, too


def test_the_tumor_lies_at_the_kidney_and_the_vessels_come_from_the_spine(cases):
    for _, label in cases:
        mask = voxels(label)
        at = {value: np.argwhere(mask == value).mean(axis=0) for value in range(1, 5)}
        grown = distance_transform_edt(mask != KIDNEY) < 2
        assert (grown & (mask == TUMOR)).any()
        left = mask[mask.shape[0] // 2 :] == KIDNEY
        spine = 0 if left.mean() > (mask == KIDNEY).mean() else mask.shape[0]  # x grows to the patient's left
        assert all(abs(at[v][0] - spine) < abs(at[KIDNEY][0] - spine) for v in (VEIN, ARTERY))


def test_simple_predictors_fail(folder):
    tables = baseline_dice(folder, section="test", classes=5)
    assert max(mean_dice(table) for table in tables.values()) < 0.4, tables
    thin = max(np.nanmean(table[:, [0, 2, 3]]) for table in tables.values())
    assert thin < 0.25, "vessels and tumor"


def test_a_case_depends_on_its_place_and_not_on_the_counts(tmp_path):
    made = {
        name: voxels(
            nib.load(next(Path(kidney_cta.make(tmp_path / name, **{**COARSE, **more})).rglob("*_000.nii.gz")))
        )
        for name, more in (("one", {}), ("two", {"training": 2}), ("seed", {"seed": 1}))
    }
    np.testing.assert_array_equal(made["one"], made["two"])
    assert (made["one"] != made["seed"]).any()


@pytest.mark.parametrize(
    ("argument", "told"),
    [({"shape": (8, 8)}, "three whole numbers"), ({"spacing": (0, 1, 1)}, "three lengths"),
     ({"seed": -1}, "seed=-1"), ({"test": -1}, "test=-1")],
)  # fmt: skip
def test_bad_arguments(tmp_path, argument, told):
    with pytest.raises(InputError, match=told):
        kidney_cta.make(tmp_path / "k", **argument)
    assert not (tmp_path / "k").exists()
