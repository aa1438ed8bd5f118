"""The phantom ``head_neck``: every class in every case, nested and mirrored as in SegRap2023, and tumors."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from common.datasets.lists.datalist import read_datalist
from common.datasets.raw.segrap_classes import ORGANS, class_names, class_pairs, compose, expand
from common.errors import InputError
from common.evaluation.baselines import baseline_dice, mean_dice
from common.phantoms import head_neck
from common.phantoms.head_neck.case import make_case
from common.phantoms.head_neck.tissues import (
    CLASSES,
    Part,
    draw_attenuation,
    gtv_of_tissue,
    label_of_tissue,
    texture_of_tissue,
)

COUNTS = {"training": 2, "validation": 0, "test": 0}
COARSE = {"training": 1, "validation": 0, "test": 0, "shape": (12, 12, 12), "spacing": (14, 14, 16)}
FEWEST = 4  # voxels of a class
VOLUMES_ML = {  # of organs, both sides: smallest and largest
    "BrainStem": (15, 45), "Chiasm": (0.2, 1.5), "TemporalLobe_L": (20, 65), "Hippocampus_R": (2, 8),
    "Eye_L": (4, 12), "Lens_R": (0.05, 0.5), "OpticNerve_L": (0.4, 1.8), "MiddleEar_R": (4, 12),
    "Cochlea_L": (0.06, 0.5), "Pituitary": (0.1, 1.0), "OralCavity": (25, 70), "Mandible_R": (8, 30),
    "Submandibular_L": (2, 9), "Parotid_R": (5, 25), "SpinalCord": (6, 20), "Larynx": (15, 45),
    "Thyroid": (5, 20), "Trachea": (2, 16), "Esophagus": (2, 10),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return head_neck.make(tmp_path_factory.mktemp("data") / "head_neck", **COUNTS)


@pytest.fixture(scope="module")
def cases(folder):
    """Native and contrast CT, classes and tumors as arrays, and the affine."""
    dataset = json.loads(Path(folder, "dataset.json").read_text())
    found = []
    for entry in dataset["training"]:
        files = [nib.load(Path(folder, file)) for file in (*entry["image"], entry["label"], entry["gtv"])]
        assert {str(file.get_data_dtype()) for file in files} == {"int16", "uint8"}
        assert {file.shape for file in files} == {(104, 120, 44)}
        assert all((file.affine == files[0].affine).all() for file in files)
        found.append((*(np.asarray(file.dataobj) for file in files), files[0].affine))
    return found


def test_files(folder, cases):
    dataset = json.loads(Path(folder, "dataset.json").read_text())
    assert list(dataset["labels"].values()) == class_names(ORGANS)
    assert list(dataset["gtv_labels"].values()) == ["background", "GTVp", "GTVnd"]
    assert dataset["modality"] == {"0": "CT", "1": "CT"}
    assert len(read_datalist(folder, holdout=0)["training"][0]["image"]) == 2, "fits the schema"
    for *_, affine in cases:
        assert nib.aff2axcodes(affine) == ("L", "A", "S")
        assert np.allclose(np.abs(np.diag(affine)[:3]), (1.6, 1.6, 4.8), rtol=0.045)


def check_classes(label, gtv):
    counts = np.bincount(label.ravel(), minlength=CLASSES)
    assert len(counts) == CLASSES
    assert counts.min() >= FEWEST, f"class {counts.argmin()}"
    assert set(np.unique(gtv)) == {0, 1, 2}


def test_every_case_has_every_class(cases):
    for *_, label, gtv, _ in cases:
        check_classes(label, gtv)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(6))
def test_more_cases_have_every_class(seed):
    made = make_case((104, 120, 44), (1.6, 1.6, 4.8), np.random.default_rng(seed))
    check_classes(made.label, made.gtv)


def test_sizes_are_plausible(cases):
    for *_, label, gtv, affine in cases:
        voxel_ml = abs(np.linalg.det(affine[:3, :3])) / 1000
        for organ, (low, high) in VOLUMES_ML.items():
            assert low < np.isin(label, ORGANS[organ]).sum() * voxel_ml < high, organ
        for tumor, (low, high) in ((1, (4, 60)), (2, (0.5, 60))):
            assert low < (gtv == tumor).sum() * voxel_ml < high


def test_the_classes_are_those_of_overlapping_organs(cases):
    for *_, label, _, _ in cases:
        organs = expand(label)
        composed, conflicts = compose(organs)
        assert not conflicts
        np.testing.assert_array_equal(composed, label)
        for part, whole in (("Lens_L", "Eye_L"), ("Cochlea_R", "MiddleEar_R"), ("BrainStem", "Brain"),
                            ("Larynx_Glottic", "Larynx")):  # fmt: skip
            assert not (organs[list(ORGANS).index(part)] & ~organs[list(ORGANS).index(whole)]).any()


def test_what_is_nested_touches_what_holds_it(cases):
    """Hippocampus, vestibule and so on lie at the border of the volume that takes in a part of them."""
    parts = [Part.HIPPOCAMPUS_INSIDE, Part.TYMPANIC_INSIDE, Part.VESTIBULE_INSIDE, Part.TUBE_INSIDE]
    outside = [Part.HIPPOCAMPUS_OUTSIDE, Part.TYMPANIC_OUTSIDE, Part.VESTIBULE_OUTSIDE, Part.TUBE_OUTSIDE]
    for *_, label, _, affine in cases:
        spacing = np.abs(np.diag(affine)[:3])
        for part, other in zip(parts, outside, strict=True):
            for side in (1, -1):
                one, two = (np.argwhere(label == p.on(side)) * spacing for p in (part, other))
                assert np.linalg.norm(one[:, None] - two[None], axis=-1).min() < 1.1 * spacing.max()


def test_left_is_the_patients_left_and_sides_mirror_each_other(cases):
    """RAS+: the patient's left is at smaller x."""
    for *_, label, _, affine in cases:
        for left, right in class_pairs(ORGANS):
            places = [
                nib.affines.apply_affine(affine, np.argwhere(label == value).mean(axis=0))
                for value in (left, right)
            ]
            assert places[0][0] < places[1][0], (left, right)
            assert np.abs(places[0] - places[1])[1:].max() < 22, (left, right)


def test_sides_look_alike():
    rng = np.random.default_rng(0)
    for table in (*draw_attenuation(rng), texture_of_tissue()):
        for left, right in class_pairs(ORGANS):
            assert table[left] == table[right]
    labels = label_of_tissue()
    np.testing.assert_array_equal(labels[:CLASSES], np.arange(CLASSES))
    assert not (labels[gtv_of_tissue() > 0]).any(), "tumors lie outside of the classes"


def test_tumors_show_in_the_contrast_scan(cases):
    for native, contrast, label, gtv, _ in cases:
        muscle = (label == 0) & (gtv == 0) & (native > 20) & (native < 80)
        gain = {}
        for name, scan in (("native", native), ("contrast", contrast)):
            gain[name] = np.median(scan[gtv == 1]) - np.median(scan[muscle])
        assert abs(gain["native"]) < 12
        assert gain["contrast"] > 18


def test_both_scans_show_one_patient(cases):
    for native, contrast, label, _, _ in cases:
        assert np.corrcoef(native.ravel(), contrast.ravel())[0, 1] > 0.95
        thyroid = label == Part.THYROID
        assert np.median(contrast[thyroid]) > np.median(native[thyroid]) + 30
        eye = label == Part.EYE
        assert abs(np.median(contrast[eye]) - np.median(native[eye])) < 8
        assert (native != contrast).mean() > 0.5, "noise of its own"


@pytest.mark.full
def test_simple_predictors_fail(tmp_path):
    folder = head_neck.make(tmp_path / "h", training=8, validation=3, test=0)
    tables = baseline_dice(folder)
    assert max(mean_dice(table) for table in tables.values()) < 0.3, tables


def test_a_case_depends_on_its_place_and_missing_files_are_made_again(tmp_path):
    one = Path(head_neck.make(tmp_path / "one", **COARSE))
    two = Path(head_neck.make(tmp_path / "two", **{**COARSE, "training": 2}))
    name = "imagesTr/head_neck_training_000_contrast.nii.gz"
    arrays = [np.asarray(nib.load(folder / name).dataobj) for folder in (one, two)]
    np.testing.assert_array_equal(*arrays)
    for gone in (name, "labelsTr/head_neck_training_000_gtv.nii.gz"):
        (one / gone).unlink()
        head_neck.make(one, **COARSE)
        assert (one / gone).is_file()


@pytest.mark.parametrize(
    ("argument", "told"),
    [({"shape": (8, 8)}, "three whole numbers"), ({"spacing": (0, 1, 1)}, "three lengths"),
     ({"seed": -1}, "seed=-1"), ({"test": -1}, "test=-1")],
)  # fmt: skip
def test_bad_arguments(tmp_path, argument, told):
    with pytest.raises(InputError, match=told):
        head_neck.make(tmp_path / "h", **argument)
    assert not (tmp_path / "h").exists()
