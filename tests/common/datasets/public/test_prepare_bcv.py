"""BCV's download: CoTr's list, labels beside scans whose headers differ, files checked."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from common.datasets import read_datalist
from common.datasets.raw.prepare import prepare
from common.errors import InputError
from tests.common.datasets.raw_bcv import AFFINE, RawBcv


def make(raw, tmp_path, **options):
    return prepare("bcv", raw.root, tmp_path / "out", **options)


def test_the_published_list(tmp_path):
    raw = RawBcv(tmp_path / "the download")
    hidden = raw.path("img", 1)
    hidden.with_name(f"._{hidden.name}").write_bytes(b"of another system")
    assert make(raw, tmp_path) == {"training": 21, "test": 9}
    written = json.loads((tmp_path / "out" / "dataset.json").read_text())
    numbers = {
        section: [int(entry["image"].split("img")[1][:4]) for entry in written[section]]
        for section in ("training", "test")
    }
    assert numbers == {"training": [*range(1, 11), *range(21, 32)], "test": [*range(32, 41)]}
    assert written["labels"]["2"] == "right kidney"
    assert written["labels"]["13"] == "left adrenal gland"
    assert len(written["labels"]) == 14
    entry = read_datalist(tmp_path / "out", holdout=0)["training"][2]  # number 3: float, another affine
    for key, expected in (("image", raw.image(3)), ("label", raw.label(3))):
        nifti = nib.load(entry[key])
        assert nifti.get_data_dtype() == expected.dtype
        assert np.array_equal(np.asarray(nifti.dataobj), expected)
        assert np.allclose(nifti.affine, AFFINE)


@pytest.mark.parametrize("place", ["RawData", "RawData/Training"])
def test_source_may_be_a_folder_within(tmp_path, place):
    raw = RawBcv(tmp_path / "raw", numbers=(2, 40))
    assert prepare("bcv", raw.root / place, tmp_path / "out", partial=True) == {"training": 1, "test": 1}


def _incomplete(raw):
    raw.path("img", 7).unlink()


def _no_label(raw):
    raw.path("label", 7).unlink()


def _another_set(raw):
    raw.save("img", 11, raw.image(11), AFFINE)


def _turned(raw):
    raw.save("label", 7, raw.label(7).transpose(1, 0, 2), AFFINE)


def _another_spacing(raw):
    raw.save("label", 7, raw.label(7), np.diag([0.8, 0.8, 5.0, 1.0]))


def _fourteen(raw):
    raw.save("label", 7, raw.label(7) + 1, AFFINE)


def _empty(raw):
    raw.save("label", 7, 0 * raw.label(7), AFFINE)


def _unsigned(raw):
    raw.save("img", 7, raw.image(7) + 1024, AFFINE)


BAD = {
    _incomplete: "img0007 is not there; 1 of the 30 published cases are missing: .*--partial true",
    _no_label: "label0007.nii.gz: not there, 1 of 2 scans have no label",
    _another_set: "holds img0011, which is none of the 30 scans",
    _turned: r"label0007.nii.gz: has the shape \(11, 12, 10\); expected \(12, 11, 10\)",
    _another_spacing: "label0007.nii.gz: has voxels of 0.8 x 0.8 x 5 mm; expected 0.8 x 0.8 x 3",
    _fourteen: "label0007.nii.gz: has the values 1, 2, .*; expected whole numbers from 0 to 13",
    _empty: "label0007.nii.gz: has no organ",
    _unsigned: "img0007.nii.gz: its lowest value is 2.; expected HU",
}


@pytest.mark.parametrize("spoil", BAD, ids=lambda f: f.__name__)
def test_bad_files(tmp_path, spoil):
    raw = RawBcv(tmp_path / "raw", numbers=(7, 32))
    if spoil is _incomplete:
        raw = RawBcv(tmp_path / "raw")
    spoil(raw)
    with pytest.raises(InputError, match=BAD[spoil]):
        make(raw, tmp_path, partial=spoil is not _incomplete)
    assert not (tmp_path / "out").exists()


def test_another_folder(tmp_path):
    with pytest.raises(InputError, match="has no folders Training/img and Training/label"):
        prepare("bcv", tmp_path, tmp_path / "out")
