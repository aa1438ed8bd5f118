"""Cases as arrays: the training's cases, every voxel as stored, and no invented label values."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from common.datasets import read_datalist, semi_supervised_datalist
from common.errors import InputError
from common.evaluation.case_arrays import LabelledData, read_cases

AFFINE = np.array([[0.0, 0, 3, 1], [-2, 0, 0, 2], [0, 1, 0, 3], [0, 0, 0, 1]])
LABELS = {"0": "background", "1": "liver", "2": "tumour"}


def label_of(number):
    label = np.zeros((4, 3, 2), np.uint8)
    label[:2], label[2, 1, 1] = 1, 2
    return np.roll(label, number, 0)


def write(path, array):
    nib.save(nib.Nifti1Image(array, AFFINE), path)


@pytest.fixture
def folder(tmp_path):
    """Five training cases in two channels, one file each; no validation list."""
    listed = []
    for i in range(5):
        for channel in "xy":
            write(tmp_path / f"{i}{channel}.nii", np.full((4, 3, 2), i + 10 * (channel == "y"), np.int16))
        write(tmp_path / f"{i}_label.nii", label_of(i))
        listed.append({"image": [f"{i}x.nii", f"{i}y.nii"], "label": f"{i}_label.nii"})
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": LABELS, "training": listed}))
    return tmp_path


def rewrite(folder, **other):
    description = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps(description | other))


def numbers(cases):
    return [int(case.image[0, 0, 0, 0]) for case in cases]


def test_a_case_is_read_as_stored(folder):
    case = list(LabelledData(folder, section="training").scored())[1]
    assert (case.image.shape, case.image.dtype, case.label.dtype) == ((2, 4, 3, 2), np.float32, np.int64)
    assert [np.unique(channel).tolist() for channel in case.image] == [[1], [11]]
    assert np.array_equal(case.label, label_of(1))
    assert np.array_equal(case.affine, AFFINE)


def test_pictures_have_the_axes_of_volumes(tmp_path):
    """x first, for image and label."""
    pixels = np.arange(24, dtype=np.uint8).reshape(4, 6)
    Image.fromarray(np.stack([pixels, 2 * pixels, 3 * pixels], axis=-1)).save(tmp_path / "a.png")
    Image.fromarray(pixels % 3).save(tmp_path / "b.png")
    listed = [{"image": "a.png", "label": "b.png"}]
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": LABELS, "training": listed}))
    (case,) = read_cases(read_datalist(tmp_path, holdout=0)["training"], classes=3)
    assert np.array_equal(case.image, np.stack([pixels.T, 2 * pixels.T, 3 * pixels.T]))
    assert np.array_equal(case.label, pixels.T % 3)


def test_the_cases_are_those_of_a_training(folder):
    """Held-out cases are not fitted on, and unlabelled training cases are left out."""
    data, lists = LabelledData(folder, section="validation"), read_datalist(folder)
    assert (numbers(data.training()), numbers(data.scored())) == ([0, 1, 2, 3], [4])
    assert len(lists["training"]) == 4
    description = json.loads((folder / "dataset.json").read_text())
    del description["training"][4]["label"], description["training"][1]["label"]
    rewrite(folder, **description)
    data, lists = LabelledData(folder, section="validation"), semi_supervised_datalist(folder)
    assert (numbers(data.training()), numbers(data.scored())) == ([0, 2], [3])
    assert [case["label"] for case in lists["validation"]] == [str(folder / "3_label.nii")]
    assert numbers(LabelledData(folder, section="validation", limit=1).training()) == [0]


def test_a_value_outside_the_classes_is_refused(folder):
    label = label_of(2).astype(np.int16)
    label[0, 0, 0], label[3, 2, 1] = 255, 3
    write(folder / "2_label.nii", label)
    with pytest.raises(InputError) as told:
        list(LabelledData(folder, section="training").scored())
    assert str(told.value) == (
        f"{folder / '2_label.nii'}: has values {{3, 255}}; expected 0 to 2 (K = 3): "
        "give  --classes 256  if they are classes, else  --label_map '{3: 0, 255: 0}'"
    )
    read = list(LabelledData(folder, section="training", label_map={3: 1, 255: 0}).scored())
    assert (read[2].label[0, 0, 0], read[2].label[3, 2, 1]) == (0, 1)
    (kept,) = list(LabelledData(folder, section="training", classes=256).scored())[2:3]
    assert kept.label.max() == 255


def test_the_map_comes_first_and_counts_the_classes(folder):
    data = LabelledData(folder, section="training", label_map={1: 0, 2: 1})
    assert data.classes == 2
    for i, case in enumerate(data.scored()):
        assert np.array_equal(case.label, label_of(i) == 2)
    with pytest.raises(
        InputError, match=r"has values \{2\}, mapped to \{7\}; expected 0 to 2 \(.*'{1: 0, 2: 0}'"
    ):
        list(LabelledData(folder, section="training", classes=3, label_map={1: 0, 2: 7}).scored())


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (-1, r"has values {-1}; expected 0 to 2 \(K = 3\): give  --label_map '{-1: 0}'"),
        (1.5, r"has values such as 1\.5; expected integers from 0 to 2 \(K = 3\): resample .* nearest"),
        (np.nan, "has values such as nan"),
    ],
)
def test_values_that_cannot_be_classes(folder, value, says):
    label = label_of(1).astype(np.float32)
    label[0, 0, 0] = value
    write(folder / "1_label.nii", label)
    with pytest.raises(InputError, match=rf"1_label\.nii: {says}") as told:
        list(LabelledData(folder, section="training").scored())
    assert "\n" not in str(told.value)


def test_files_of_a_case_that_do_not_fit(folder):
    write(folder / "0_label.nii", np.zeros((4, 3, 3), np.uint8))
    with pytest.raises(InputError, match=r"0_label\.nii: has shape \(4, 3, 3\); expected \(4, 3, 2\)"):
        next(LabelledData(folder, section="training").scored())
    write(folder / "0y.nii", np.zeros((4, 3, 3), np.uint8))
    with pytest.raises(InputError, match=r"0y\.nii: has shape"):
        next(LabelledData(folder, section="training").scored())
    (folder / "0x.nii").write_text("no image")
    with pytest.raises(InputError, match=r"training\[0\]\.image = .*0x\.nii is not an image"):
        next(LabelledData(folder, section="training").scored())


def test_a_coloured_label_is_refused(tmp_path):
    Image.new("RGB", (3, 2), (1, 0, 0)).save(tmp_path / "a.png")
    listed = [{"image": "a.png", "label": "a.png"}]
    (tmp_path / "dataset.json").write_text(json.dumps({"training": listed}))
    with pytest.raises(InputError, match=r"a\.png: is a colour picture; save each pixel's class number"):
        next(read_cases(read_datalist(tmp_path, holdout=0)["training"], classes=2))
