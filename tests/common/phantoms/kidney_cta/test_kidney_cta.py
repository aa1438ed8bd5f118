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
from common.phantoms.kidney_cta.case import make_case

VEIN, KIDNEY, ARTERY, TUMOR = 1, 2, 3, 4
SIZES = {"training": 2, "validation": 0, "test": 0}
COARSE = {"training": 1, "validation": 0, "test": 0, "shape": (8, 8, 10), "spacing": (12, 12, 12)}
ANY_NEIGHBOUR = np.ones((3, 3, 3))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return kidney_cta.make(tmp_path_factory.mktemp("data") / "kidney_cta", **SIZES)


@pytest.fixture(scope="module")
def cases(folder):
    dataset = json.loads(Path(folder, "dataset.json").read_text())
    return [tuple(nib.load(Path(folder, e[key])) for key in ("image", "label")) for e in dataset["training"]]


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


def check_volumes(label, affine):
    """A tumor has 5 to 60 mL; kidneys have 100 to 250 mL, less what a tumor takes."""
    ml = np.bincount(label.ravel(), minlength=5) * abs(np.linalg.det(affine[:3, :3])) / 1000
    assert 0.8 < ml[VEIN] < 6
    assert 35 < ml[KIDNEY] < 300
    assert 0.8 < ml[ARTERY] < 5
    assert 5 < ml[TUMOR] < 60


def test_volumes(cases):
    for _, label in cases:
        check_volumes(voxels(label), label.affine)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(1, 5))
def test_volumes_of_more_patients(seed):
    _, label, affine = make_case((72, 72, 96), (1.4, 1.4, 1.4), np.random.default_rng(seed))
    check_volumes(label, affine)


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
    for image, label in cases:
        hu, mask = voxels(image), voxels(label)
        at = {value: np.argwhere(mask == value).mean(axis=0)[0] for value in range(1, 5)}
        grown = distance_transform_edt(mask != KIDNEY) < 2
        assert (grown & (mask == TUMOR)).any()
        bone = np.argwhere((hu > 400) & (mask == 0)).mean(axis=0)[0]  # more of it in the spine than in ribs
        medial = np.sign(bone - at[KIDNEY])
        for vessel in (VEIN, ARTERY):
            assert medial * (at[vessel] - at[KIDNEY]) > 3


@pytest.mark.full
def test_simple_predictors_fail(tmp_path):
    """With 8 and 3 cases: intensity 0.18, mean shape 0.17 (the best variant of each)."""
    folder = kidney_cta.make(tmp_path / "k", training=8, validation=3, test=0)
    tables = baseline_dice(folder)
    assert max(mean_dice(table) for table in tables.values()) < 0.3, tables
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
