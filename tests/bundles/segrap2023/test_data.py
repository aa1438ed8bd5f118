"""Pairs of CT, and the lists of task 2: segrap2023/docs/method.md#data."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

import common  # noqa: F401 (makes bundles importable)
from common.datasets import images_to_predict, read_datalist
from common.errors import InputError
from segrap2023.tasks import LABELS, tumour_lists


@pytest.fixture
def data_set(tmp_path):
    """Three pairs on one grid, with both labels."""
    cases = []
    for case in "abc":
        for kind, high in (("native", 100), ("contrast", 100), ("organs", 54), ("gtv", 2)):
            voxels = np.random.default_rng(ord(case)).integers(0, high + 1, (6, 5, 4)).astype(np.int16)
            nib.save(nib.Nifti1Image(voxels, np.diag([2.0, 2, 3, 1])), tmp_path / f"{case}_{kind}.nii.gz")
        pair = [f"{case}_native.nii.gz", f"{case}_contrast.nii.gz"]
        cases.append({"image": pair, "label": f"{case}_organs.nii.gz", "gtv": f"{case}_gtv.nii.gz"})
    write(tmp_path, cases)
    return tmp_path


def write(folder, cases) -> None:
    lists = {"training": cases[:1], "validation": cases[1:2], "test": [{"image": cases[2]["image"]}]}
    (folder / "dataset.json").write_text(json.dumps({"modality": {"0": "CT", "1": "CT"}, **lists}))


def test_tumours_take_the_place_of_the_organs(data_set):
    lists = tumour_lists(read_datalist(data_set))
    assert lists["training"][0]["label"] == str(data_set / "a_gtv.nii.gz")
    assert lists["validation"][0]["label"] == str(data_set / "b_gtv.nii.gz")
    assert "label" not in lists["test"][0]
    assert lists["training"].lists["validation"] == lists["validation"], "checked and planned together"
    assert LABELS == {"0": "background", "1": "GTVp", "2": "GTVnd"}


def test_a_case_without_tumours_is_named(data_set):
    cases = json.loads((data_set / "dataset.json").read_text())
    del cases["validation"][0]["gtv"]
    write(data_set, [cases["training"][0], cases["validation"][0], cases["test"][0]])
    with pytest.raises(InputError, match=r'dataset\.json: validation\[0\] has no "gtv"'):
        tumour_lists(read_datalist(data_set))


def _one_is_missing(folder) -> str:
    (folder / "c_contrast.nii.gz").unlink()
    return "c_contrast.nii.gz"


def _one_lies_elsewhere(folder) -> str:
    image = nib.load(folder / "c_contrast.nii.gz")
    moved = nib.Nifti1Image(np.asarray(image.dataobj), np.diag([2.0, 2, 4, 1]))
    nib.save(moved, folder / "c_contrast.nii.gz")
    return "esample the channels of the case to one grid"


def _only_one_is_given(folder) -> str:
    cases = json.loads((folder / "dataset.json").read_text())
    cases["test"][0]["image"] = "c_native.nii.gz"
    write(folder, [cases["training"][0], cases["validation"][0], cases["test"][0]])
    return "2 channels"


@pytest.mark.parametrize("spoil", [_one_is_missing, _one_lies_elsewhere, _only_one_is_given])
def test_half_a_pair_is_refused(data_set, spoil):
    assert len(images_to_predict(data_set, channels=2)) == 1
    told = spoil(data_set)
    with pytest.raises(InputError) as error:
        images_to_predict(data_set, channels=2)
    assert told in str(error.value)
