"""AMOS22's download: CT and MR by number, the validation part kept apart."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from common.datasets import read_datalist
from common.datasets.raw.prepare import find_reader, prepare
from common.errors import InputError
from tests.common.datasets.raw_amos22 import AFFINE, FEW, RELEASE, image, label, write_amos22, write_names
from tests.common.datasets.raw_volumes import save


@pytest.fixture
def few(tmp_path):
    return write_amos22(tmp_path / "raw")


def numbers(cases):
    return [int(case[-4:]) for case in cases]


def stems(entries):
    return [entry["image"].split("/")[1].removesuffix(".nii.gz") for entry in entries]


def test_the_release_has_its_numbers(tmp_path):
    lists = find_reader("amos22").list_cases(write_names(tmp_path), partial=False)
    assert {section: len(cases) for section, cases in lists.items()} == {"training": 240, "test": 120}
    assert numbers(lists["training"]) == RELEASE["Tr"]
    assert numbers(lists["test"]) == RELEASE["Va"]


@pytest.mark.parametrize(("modality", "training", "test"), [("CT", 200, 100), ("MR", 40, 20)])
def test_one_modality_needs_no_other(tmp_path, modality, training, test):
    chosen = {
        part: [number for number in listed if (number < 500) == (modality == "CT")]
        for part, listed in RELEASE.items()
    }
    raw, reader = write_names(tmp_path, chosen), find_reader("amos22")
    lists = reader.of_modality(modality).list_cases(raw, partial=False)
    assert [len(lists[section]) for section in ("training", "test")] == [training, test]
    with pytest.raises(InputError, match=r"imagesTr: has 0 \w\w scans; expected (40|200)"):
        reader.list_cases(raw, partial=False)


def test_ct_and_mr_in_one_data_set(few, tmp_path):
    assert prepare("amos22", few, tmp_path / "out", partial=True) == {"training": 4, "test": 2}
    written = json.loads((tmp_path / "out" / "dataset.json").read_text())
    for section, part in (("training", "Tr"), ("test", "Va")):
        assert numbers(stems(written[section])) == FEW[part]
        kinds = [entry["modality"] for entry in written[section]]
        assert kinds == ["CT" if number < 500 else "MR" for number in FEW[part]]
    assert written["modality"] == {"0": "CT or MR"}
    assert [written["labels"][value] for value in ("2", "9", "15")] == [
        "right kidney",
        "postcava",
        "prostate or uterus",
    ]
    assert len(written["labels"]) == 16
    lists = read_datalist(tmp_path / "out", holdout=0)
    for entry, number in ((lists["training"][1], 4), (lists["test"][-1], 557)):
        for key, expected in (("image", image(number)), ("label", label(number))):
            nifti = nib.load(entry[key])
            assert nifti.get_data_dtype() == expected.dtype
            assert np.array_equal(np.asarray(nifti.dataobj), expected)
            assert np.allclose(nifti.affine, AFFINE)


def test_one_modality_of_both(few, tmp_path):
    assert prepare("amos22", few, tmp_path / "out", modality="mr", partial=True) == {"training": 2, "test": 1}
    written = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert numbers(stems(written["training"] + written["test"])) == [507, 530, 557]
    assert written["modality"] == {"0": "MR"}


def test_the_first_release_has_no_labels_of_its_validation_part(few, tmp_path):
    for path in (few / "amos22" / "labelsVa").iterdir():
        path.unlink()
    (few / "amos22" / "labelsVa").rmdir()
    prepare("amos22", few, tmp_path / "out", partial=True)
    written = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert written["test"][0] == {"image": "imagesTs/amos_0408.nii.gz", "modality": "CT"}
    assert "label" in written["training"][0]


def test_a_modality_that_is_none(few, tmp_path):
    with pytest.raises(InputError, match="--modality PET; expected one of amos22's: CT, MR"):
        prepare("amos22", few, tmp_path / "out", modality="PET")
    with pytest.raises(InputError, match="--modality CT: all cases of this data set have the same"):
        prepare("bcv", few, tmp_path / "out", modality="CT")


def _no_label(folder):
    (folder / "labelsTr" / "amos_0004.nii.gz").unlink()


def _no_label_kept_apart(folder):
    (folder / "labelsVa" / "amos_0557.nii.gz").unlink()


def _sixteen(folder):
    save(folder / "labelsTr" / "amos_0004.nii.gz", label(4) + 3, AFFINE)


def _empty(folder):
    save(folder / "labelsTr" / "amos_0004.nii.gz", 0 * label(4), AFFINE)


def _cut(folder):
    save(folder / "labelsTr" / "amos_0004.nii.gz", label(4)[1:], AFFINE)


def _unsigned(folder):
    save(folder / "imagesTr" / "amos_0004.nii.gz", image(4) + 1024, AFFINE)


def _another_set(folder):
    save(folder / "imagesTr" / "amos_0601.nii.gz", image(4), AFFINE)


def _in_both_parts(folder):
    for kind, array in (("images", image(4)), ("labels", label(4))):
        save(folder / f"{kind}Va" / "amos_0004.nii.gz", array, AFFINE)


BAD = {
    _no_label: "amos_0004.nii.gz: not there, 1 of 4 scans have no label",
    _no_label_kept_apart: "labelsVa/amos_0557.nii.gz: not there, 1 of 2 scans have no label",
    _sixteen: "amos_0004.nii.gz: has the values 3, 4, .*; expected whole numbers from 0 to 15",
    _empty: "amos_0004.nii.gz: has no organ",
    _cut: r"labelsTr/amos_0004.nii.gz: has the shape \(9, 9, 8\); expected \(10, 9, 8\)",
    _unsigned: "amos_0004.nii.gz: its lowest value is 2.; expected HU",
    _another_set: "imagesTr: holds amos_0601, which is none of AMOS22's scans",
    _in_both_parts: "the lists name amos_0004 twice",
}


@pytest.mark.parametrize("spoil", BAD, ids=lambda f: f.__name__)
def test_bad_files(few, tmp_path, spoil):
    spoil(few / "amos22")
    with pytest.raises(InputError, match=BAD[spoil]) as caught:
        prepare("amos22", few, tmp_path / "out", partial=True)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_an_incomplete_release(tmp_path):
    raw = write_names(tmp_path / "raw", {"Tr": RELEASE["Tr"], "Va": RELEASE["Va"][1:]})
    with pytest.raises(InputError, match=r"imagesVa: has 99 CT scans; expected 100: .*--partial true"):
        prepare("amos22", raw, tmp_path / "out")
    with pytest.raises(InputError, match="has no folder imagesTr"):
        prepare("amos22", tmp_path, tmp_path / "out")
