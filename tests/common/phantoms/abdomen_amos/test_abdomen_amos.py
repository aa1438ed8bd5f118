"""The phantom ``abdomen_amos``: fifteen organs in CT and MR, of which some cases lack one."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from common.datasets.lists.datalist import read_datalist
from common.errors import InputError
from common.evaluation.baselines import baseline_dice, mean_dice
from common.phantoms import abdomen_amos
from common.phantoms.abdomen_amos import case
from common.phantoms.abdomen_amos.tissues import ORGANS

COUNTS = {"training": 1, "validation": 0, "test": 0, "mr_training": 1}
GRIDS = {"CT": ((88, 68, 72), (4.25, 4.25, 5.25)), "MR": ((80, 64, 56), (4.6, 4.6, 6.8))}
COARSE = ((36, 28, 30), (10.4, 10.4, 12.6))
VOLUMES_ML = {  # smallest and largest plausible volume of an organ, for the part within the scan
    1: (12, 450), 2: (50, 330), 3: (50, 330), 4: (3, 130), 5: (3, 45), 6: (600, 2500), 7: (80, 650),
    8: (35, 180), 9: (30, 180), 10: (25, 200), 11: (0.3, 12), 12: (0.3, 12), 13: (8, 110), 14: (30, 400),
    15: (12, 120),
}  # fmt: skip
GALLBLADDER, BLADDER, PROSTATE = 4, 14, 15


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return abdomen_amos.make(tmp_path_factory.mktemp("data") / "amos", **COUNTS)


@pytest.fixture(scope="module")
def cases(folder):
    dataset = json.loads(Path(folder, "dataset.json").read_text())
    return [
        (e["modality"], *(nib.load(Path(folder, e[key])) for key in ("image", "label")))
        for e in dataset["training"]
    ]


def voxels(nifti) -> np.ndarray:
    return np.asarray(nifti.dataobj)


def test_files(folder, cases):
    dataset = json.loads(Path(folder, "dataset.json").read_text())
    assert dataset["labels"] == {str(i): name for i, name in enumerate(ORGANS)}
    assert len(ORGANS) == 16
    assert dataset["modality"] == {"0": "CT or MR"}
    assert [e["modality"] for e in dataset["training"]] == ["CT", "MR"]
    assert [Path(e["image"]).name for e in dataset["training"]][1] == "abdomen_amos_mr_training_000.nii.gz"
    assert read_datalist(folder, holdout=0)["training"], "fits the schema"
    for modality, image, label in cases:
        assert (image.get_data_dtype(), label.get_data_dtype()) == (np.int16, np.uint8)
        shape, spacing = GRIDS[modality]
        assert image.shape == label.shape
        assert image.shape[:2] == shape[:2]
        assert image.shape[2] in (shape[2], round(0.6 * shape[2]))
        assert np.allclose(image.header.get_zooms(), spacing, rtol=0.065)
        np.testing.assert_array_equal(image.affine, label.affine)
        assert nib.aff2axcodes(image.affine) == ("L", "A", "S")


def check_volumes(label, affine, slices):
    """``slices``: of a scan that shows the pelvis."""
    ml = np.bincount(label.ravel(), minlength=16) * abs(np.linalg.det(affine[:3, :3])) / 1000
    for value, (low, high) in VOLUMES_ML.items():
        if ml[value] == 0:  # removed, or below the scan
            assert value == GALLBLADDER or label.shape[2] < slices, ORGANS[value]
            assert value in (GALLBLADDER, BLADDER, PROSTATE)
        else:
            assert low < ml[value] < high, (ORGANS[value], ml[value])


def test_organs_have_plausible_volumes(cases):
    for modality, _, label in cases:
        check_volumes(voxels(label), label.affine, GRIDS[modality][0][2])


@pytest.mark.full
@pytest.mark.parametrize("seed", range(1, 5))
@pytest.mark.parametrize("modality", GRIDS)
def test_organs_of_more_patients_have_plausible_volumes(modality, seed):
    _, label, affine = make(modality, seed, GRIDS[modality])
    check_volumes(label, affine, GRIDS[modality][0][2])


def test_sides_and_heights(cases):
    """RAS+: the patient's right is at larger x, the back at smaller y, the feet at smaller z."""
    for _, _, label in cases:
        mask = voxels(label)
        at = {
            value: nib.affines.apply_affine(label.affine, np.argwhere(mask == value).mean(axis=0))
            for value in range(1, 16)
            if (mask == value).any()
        }
        for right, left in ((2, 3), (11, 12), (6, 1)):
            assert at[right][0] > at[8][0] > at[left][0], "aorta between them"
        for adrenal, kidney in ((11, 2), (12, 3)):
            assert at[adrenal][2] > at[kidney][2] + 15
        if PROSTATE in at:
            assert at[PROSTATE][2] < at[9][2] - 80, "far below the kidneys"
            assert abs(at[BLADDER][0] - at[8][0]) < 40


def test_ct_has_hounsfield_units_and_mr_another_order(cases):
    for modality, image, label in cases:
        values, mask = voxels(image).astype(float), voxels(label)
        mean = {value: values[mask == value].mean() for value in (1, 6, 8)}
        if modality == "CT":
            assert values.min() < -900
            assert abs(np.median(values[(values > -160) & (values < -40)]) + 100) < 15, "fat"
            assert 20 < mean[6] < 150
        else:
            assert values.min() >= 0
            assert np.percentile(values, 99) > 100
            assert mean[8] < mean[6] < mean[1], "blood, liver, spleen"
        if (mask == BLADDER).any():
            assert (values[mask == BLADDER].mean() < mean[6]) == (modality == "CT")


def make(modality, seed=3, grid=COARSE):
    return case.make_case(modality, *grid, np.random.default_rng(seed))


def test_both_modalities_show_the_same_anatomy(monkeypatch):
    monkeypatch.setattr(case, "_SHORT_CHANCE", {"CT": 0.0, "MR": 0.0})
    (ct, label, affine), (mr, again, same) = make("CT"), make("MR")
    np.testing.assert_array_equal(label, again)
    assert affine[0, 0] == same[0, 0]
    body = (ct > -200) & (ct < 250)
    assert np.corrcoef(ct[body], mr[body])[0, 1] < 0, "dark in one, bright in the other"


def test_an_organ_can_be_missing(monkeypatch):
    monkeypatch.setattr(case, "_SHORT_CHANCE", {"CT": 0.0})
    monkeypatch.setattr(case, "_NO_GALLBLADDER_CHANCE", 0.0)
    assert set(np.unique(make("CT")[1])) >= {GALLBLADDER, BLADDER, PROSTATE}
    monkeypatch.setattr(case, "_SHORT_CHANCE", {"CT": 1.0})
    monkeypatch.setattr(case, "_NO_GALLBLADDER_CHANCE", 1.0)
    _, label, _ = make("CT")
    assert label.shape[2] < COARSE[0][2]
    assert not np.isin(label, (GALLBLADDER, BLADDER, PROSTATE)).any()


@pytest.mark.full
def test_simple_predictors_fail(tmp_path):
    """With 8 and 3 cases of CT: intensity 0.02, mean shape 0.26 (the best variant of each)."""
    folder = abdomen_amos.make(tmp_path / "amos", training=8, validation=3, test=0)
    tables = baseline_dice(folder)
    assert max(mean_dice(table) for table in tables.values()) < 0.35, tables


def test_a_case_depends_on_its_place_and_not_on_the_counts(tmp_path):
    tiny = ((8, 8, 8), (40, 40, 40))
    grid = {"shape": tiny[0], "spacing": tiny[1], "mr_shape": tiny[0], "mr_spacing": tiny[1]}
    none = {"training": 0, "validation": 0, "test": 0, **grid}
    for name, more in (("a", {"mr_training": 1}), ("b", {"training": 1, "mr_training": 1})):
        abdomen_amos.make(tmp_path / name, **{**none, **more})
    one, other = (nib.load(tmp_path / n / "imagesTr/abdomen_amos_mr_training_000.nii.gz") for n in "ab")
    np.testing.assert_array_equal(voxels(one), voxels(other))
    assert json.loads((tmp_path / "a/dataset.json").read_text())["modality"] == {"0": "MR"}


@pytest.mark.parametrize(
    ("argument", "told"),
    [({"shape": (8, 8)}, "three whole numbers"), ({"mr_spacing": (0, 1, 1)}, "MR.*three lengths"),
     ({"seed": -1}, "seed=-1"), ({"mr_test": -1}, "mr_test=-1"), ({"training": True}, "training=True")],
)  # fmt: skip
def test_bad_arguments(tmp_path, argument, told):
    with pytest.raises(InputError, match=told):
        abdomen_amos.make(tmp_path / "a", **argument)
    assert not (tmp_path / "a").exists()
