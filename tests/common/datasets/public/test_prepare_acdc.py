"""ACDC: phases by their place in the film, patients whole, published numbers of frames and slices."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from common.datasets import semi_supervised_datalist
from common.datasets.raw.prepare import prepare
from common.datasets.raw.published_lists import published_lists
from common.errors import InputError
from common.training.numbers import line_of_numbers
from common.transforms.slices import slices_of
from tests.common.datasets.raw_volumes import save, write_acdc

CASES = ["patient099_frame01", "patient099_frame02", "patient038_frame01", "patient038_frame02"]
CASES += ["patient028_frame01", "patient028_frame02", "patient011_frame01", "patient011_frame02"]


@pytest.fixture
def raw(tmp_path):
    return write_acdc(tmp_path / "raw", CASES)


def folder(raw, patient):
    return raw / "database" / "training" / patient


def test_two_phases_of_each_patient(raw, tmp_path):
    numbers = prepare("acdc", raw, tmp_path / "out", partial=True)
    assert numbers == {"training": 4, "validation": 2, "test": 2}
    lists = semi_supervised_datalist(tmp_path / "out", num_labelled=1)
    assert [case["patient"] for case in lists["training"]] == ["patient099"] * 2 + ["patient038"] * 2
    assert ["label" in case for case in lists["training"]] == [True, True, False, False]
    assert [case["patient"] for case in lists["validation"]] == ["patient028"] * 2
    source = nib.load(folder(raw, "patient099") / "patient099_frame12.nii.gz")
    written = nib.load(lists["training"][1]["image"])
    assert np.array_equal(np.asarray(written.dataobj), np.asarray(source.dataobj)), "systole is frame02"
    assert written.get_data_dtype() == np.int16
    np.testing.assert_allclose(written.affine, source.affine)
    description = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert description["labels"]["1"] == "right ventricle"


def test_published_numbers(tmp_path):
    """7 patients are 136 slices, 14 are 256, all 70 are 1312 (mcnet_plus/docs/method.md#acdc)."""
    raw = write_acdc(tmp_path / "raw", side=4)
    assert prepare("acdc", raw, tmp_path / "out") == {"training": 140, "validation": 20, "test": 40}
    for patients, labelled, others in ((7, 136, 1176), (14, 256, 1056)):
        lists = semi_supervised_datalist(tmp_path / "out", num_labelled=patients)
        line = line_of_numbers(slices_of(lists["training"]), lists["validation"], "best")
        rest = 70 - patients
        assert line == (
            f"training on {2 * patients} labelled cases ({patients} patients, {labelled} slices) and "
            f"{2 * rest} unlabelled ({rest} patients, {others} slices), choosing weights on 20 (10 patients)"
        )


def test_lists_keep_patients_whole_and_the_labelled_first():
    lists = published_lists("acdc")
    of = {
        section: list(dict.fromkeys(c.partition("_")[0] for c in cases)) for section, cases in lists.items()
    }
    assert [len(of[section]) for section in ("training", "validation", "test")] == [70, 10, 20]
    assert len({patient for patients in of.values() for patient in patients}) == 100
    first = "099 038 050 100 058 021 049 020 072 040 060 089 004 056"
    assert of["training"][:14] == [f"patient{number}" for number in first.split()]


def _another_slice_count(raw):
    path = folder(raw, "patient099")
    for name in ("patient099_frame03.nii.gz", "patient099_frame03_gt.nii.gz"):
        image = nib.load(path / name)
        save(path / name, np.asarray(image.dataobj)[..., 1:], image.affine)


def _label_4(raw):
    path = folder(raw, "patient038") / "patient038_frame03_gt.nii.gz"
    label = nib.load(path)
    save(path, np.asarray(label.dataobj) * 4, label.affine)


def _no_heart(raw):
    path = folder(raw, "patient011") / "patient011_frame12_gt.nii.gz"
    label = nib.load(path)
    save(path, np.zeros(label.shape, np.uint8), label.affine)


def _no_phase(raw):
    (folder(raw, "patient038") / "Info.cfg").write_text("ED: 3\n")


def _no_truth(raw):
    (folder(raw, "patient028") / "patient028_frame03_gt.nii.gz").unlink()


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_another_slice_count, r"patient099_frame03\.nii\.gz: has 15 slices; expected 16"),
        (_label_4, r"patient038_frame03_gt\.nii\.gz: has the values 0, 4, 12; expected"),
        (_no_heart, r"patient011_frame12_gt\.nii\.gz: nothing is labelled"),
        (_no_phase, r"Info\.cfg: has no line 'ES: <number>'"),
        (_no_truth, r"patient028_frame03_gt\.nii\.gz: is not there; early copies lack"),
    ],
)
def test_bad_files(raw, tmp_path, spoil, told):
    spoil(raw)
    with pytest.raises(InputError, match=told) as error:
        prepare("acdc", raw, tmp_path / "out", partial=True)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_an_incomplete_release(raw, tmp_path):
    with pytest.raises(
        InputError, match=r"patient050/Info\.cfg: .* 192 of the 200 published cases are missing"
    ):
        prepare("acdc", raw, tmp_path / "out")
    with pytest.raises(InputError, match="has no folders patient001"):
        prepare("acdc", tmp_path, tmp_path / "out")
