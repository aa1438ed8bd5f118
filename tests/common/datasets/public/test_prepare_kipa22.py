"""KiPA22's download: 70 crops with unsigned values, sorted as strings."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from common.datasets.lists.folds import fold_positions
from common.datasets.raw.prepare import prepare
from common.errors import InputError
from tests.common.datasets.raw_kipa22 import AFFINE, label, names, stored, write_kipa22
from tests.common.datasets.raw_volumes import save


def test_the_training_list(tmp_path):
    raw = write_kipa22(tmp_path / "raw")
    assert prepare("kipa22", raw, tmp_path / "out") == {"training": 70, "test": 0}
    written = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert written["labels"] == {
        "0": "background",
        "1": "renal vein",
        "2": "kidney",
        "3": "renal artery",
        "4": "tumour",
    }
    cases = [entry["image"].split("/")[1].removesuffix(".nii.gz") for entry in written["training"]]
    assert cases == sorted(names(70)), "as strings, as the published folds count them"
    assert [len(fold_positions(len(cases), fold, folds=4)) for fold in range(4)] == [18, 18, 17, 17]
    entry = written["training"][cases.index("DET17")]
    image, truth = (nib.load(tmp_path / "out" / entry[key]) for key in ("image", "label"))
    assert image.get_data_dtype() == np.int16
    assert np.array_equal(np.asarray(image.dataobj), stored(2).astype(int) - 1024), "HU"
    assert np.array_equal(np.asarray(truth.dataobj), label())
    assert np.allclose(image.affine, AFFINE)


@pytest.mark.parametrize("place", ["train", "."])
def test_source_may_be_the_folder_within_or_above(tmp_path, place):
    raw = write_kipa22(tmp_path / "raw" / "KiPA22", 2)
    source = raw / "train" if place == "train" else tmp_path / "raw"
    assert prepare("kipa22", source, tmp_path / "out", partial=True) == {"training": 2, "test": 0}


def _no_label(train):
    (train / "label" / "DET3.nii.gz").unlink()


def _other_label(train):
    save(train / "label" / "DET3.nii.gz", label() + 1, AFFINE)


def _no_kidney(train):
    save(train / "label" / "DET3.nii.gz", np.where(label() == 2, 0, label()).astype(np.uint8), AFFINE)


def _elsewhere(train):
    save(train / "label" / "DET3.nii.gz", label(), np.diag([0.63, 0.63, 0.63, 1]))


def _hounsfield(train):
    save(train / "image" / "DET3.nii.gz", stored(0).astype(np.int16) - 1024, AFFINE)


def _normalised(train):
    save(train / "image" / "DET3.nii.gz", (stored(0) / 2500).astype(np.float32), AFFINE)


BAD = {
    _no_label: "DET3.nii.gz: not there, 1 of 2 scans have no label",
    _other_label: "DET3.nii.gz: has the values 1, 2, 3, 4, 5; expected whole numbers from 0 to 4",
    _no_kidney: r"DET3.nii.gz: has no kidney \(2\)",
    _elsewhere: "DET3.nii.gz: its affine puts voxels",
    _hounsfield: "DET3.nii.gz: has values from -1024 to .*; expected whole numbers from 0 to about 2500",
    _normalised: "DET3.nii.gz: has values from 0 to 0.9.*; expected whole numbers",
}


@pytest.mark.parametrize("spoil", BAD, ids=lambda f: f.__name__)
def test_bad_files(tmp_path, spoil):
    raw = write_kipa22(tmp_path / "raw", 2)
    spoil(raw / "train")
    with pytest.raises(InputError, match=BAD[spoil]) as caught:
        prepare("kipa22", raw, tmp_path / "out", partial=True)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_another_folder(tmp_path):
    with pytest.raises(InputError, match="has no folders train/image and train/label"):
        prepare("kipa22", tmp_path, tmp_path / "out")


@pytest.mark.parametrize("number", [69, 71])
def test_another_number_of_scans(tmp_path, number):
    for kind in ("image", "label"):
        (tmp_path / "train" / kind).mkdir(parents=True)
        for name in names(number):
            (tmp_path / "train" / kind / f"{name}.nii.gz").touch()
    with pytest.raises(InputError, match=rf"image: has {number} scans; expected 70, .*--partial true"):
        prepare("kipa22", tmp_path, tmp_path / "out")
