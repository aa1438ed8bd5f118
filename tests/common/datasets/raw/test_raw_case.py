"""What a scan may hold, and what is written of it."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from common.datasets import read_datalist
from common.datasets.raw import prepare as module
from common.datasets.raw.prepare import RawCase, Reader, prepare
from common.errors import InputError

SHAPE = (3, 4, 5)
BOXES = {"boxes": np.array([[-3.0, 0, 2, 1, 5, 7.5]]), "box_labels": np.array([2])}


def label(value: int = 1) -> np.ndarray:
    return np.full(SHAPE, value, np.uint8)


class Several(Reader):
    """One case of two 16-bit sequences, two raters, a box and a class; a second without label; own lists."""

    description = {"name": "several", "labels": {"0": "background", "1": "organ"}}

    def list_cases(self, source, *, partial):
        return {"training": ["p1_a", "p1_b"], "validation": ["p2_a"], "test": ["p3_a"]}

    def patient_of(self, case):
        return case.partition("_")[0]

    def read(self, source, case):
        image = np.arange(2 * 60, dtype=np.uint16).reshape(*SHAPE, 2) * 500
        affine = np.diag([1.0, 2, 3, 1])
        if case == "p3_a":
            return RawCase(image, None, affine)
        return RawCase(image, label(), affine, {"label_2": label(0)}, **BOXES, further={"stage": 3})


@pytest.fixture
def several(monkeypatch):
    monkeypatch.setattr(module, "find_reader", lambda _: Several())


def test_channels_raters_boxes_and_patients(several, tmp_path):
    assert prepare("x", tmp_path, tmp_path / "out") == {"training": 2, "validation": 1, "test": 1}
    description = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert description["training"][0] == {
        "image": "imagesTr/p1_a.nii.gz",
        "label": "labelsTr/p1_a.nii.gz",
        "label_2": "label_2Tr/p1_a.nii.gz",
        "boxes": [[-3.0, 0.0, 2.0, 1.0, 5.0, 7.5]],
        "box_labels": [2],
        "stage": 3,
        "patient": "p1",
    }
    assert description["validation"][0]["label"] == "labelsTr/p2_a.nii.gz"
    assert description["test"] == [{"image": "imagesTs/p3_a.nii.gz", "patient": "p3"}]
    lists = read_datalist(tmp_path / "out")
    image = nib.load(lists["training"][0]["image"])
    assert image.get_data_dtype() == np.uint16
    assert image.shape == (*SHAPE, 2)
    assert np.asarray(image.dataobj).max() == 119 * 500, "above what 15 bits hold"
    assert lists["training"][0]["boxes"] == [[-3.0, 0.0, 2.0, 1.0, 5.0, 7.5]]
    assert np.asarray(nib.load(tmp_path / "out" / "label_2Tr" / "p1_a.nii.gz").dataobj).max() == 0


def test_hidden_labels_hide_raters_and_boxes(several, tmp_path):
    prepare("x", tmp_path, tmp_path / "out", labelled=1)
    description = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert description["training"][1] == {"image": "imagesTr/p1_b.nii.gz", "stage": 3, "patient": "p1"}


def test_one_list_of_all_cases(several, tmp_path):
    assert prepare("x", tmp_path, tmp_path / "out", one_list=True, validation=1) == {
        "training": 3,
        "validation": 1,
        "test": 0,
    }
    description = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert [entry["image"][9:13] for entry in description["training"]] == ["p1_a", "p1_b", "p2_a"]


def test_a_validation_list_of_its_own_is_not_changed(several, tmp_path):
    with pytest.raises(InputError, match=r"--validation 1: this data set has a validation list of its own"):
        prepare("x", tmp_path, tmp_path / "out", validation=1)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"image": np.zeros((3, 4), np.uint8)}, r"image \(3, 4\); need"),
        ({"image": np.zeros(SHAPE, bool)}, "image is bool; need one of"),
        ({"label": np.zeros((3, 4, 6), np.uint8)}, r"label \(3, 4, 6\) on an image \(3, 4, 5\)"),
        ({"label": np.zeros((*SHAPE, 2), np.uint8)}, r"label \(3, 4, 5, 2\) on an image"),
        ({"further_labels": {"label_2": np.zeros(SHAPE, np.float16)}}, "label_2 is float16"),
        ({"boxes": BOXES["boxes"]}, "need both or neither"),
        ({"boxes": np.zeros((1, 4)), "box_labels": np.zeros(1)}, r"boxes \(1, 4\)"),
        ({**BOXES, "boxes": -BOXES["boxes"]}, "lower corner first"),
    ],
)
def test_what_does_not_fit_is_refused(given, told):
    with pytest.raises(ValueError, match=told):
        RawCase(**{"image": label(), "label": label(), "affine": np.eye(4), **given})
