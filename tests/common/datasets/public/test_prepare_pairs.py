"""The data sets that are registered: lists, numbers, label values and places."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from common.datasets.public.mmwhs_ct import READER as MMWHS
from common.datasets.raw.affine_alignment import affine_map
from common.datasets.raw.prepare import find_reader, prepare
from common.errors import InputError
from tests.common.datasets.raw_registration import (
    SHAPE,
    numbered,
    scan,
    write_acdc_pairs,
    write_hippocampus,
    write_mmwhs,
    write_oasis,
)
from tests.common.datasets.raw_volumes import save


def lists_of(folder):
    return json.loads((folder / "dataset.json").read_text())


def stems(entries):
    return [entry["image"].split("/")[-1].removesuffix(".nii.gz") for entry in entries]


def test_oasis_follows_its_list(tmp_path):
    raw = write_oasis(tmp_path / "raw", 23)
    assert prepare("oasis", raw, tmp_path / "out", partial=True) == {"training": 3, "test": 20}
    lists = lists_of(tmp_path / "out")
    listed = (raw / "subjects.txt").read_text().split()
    assert stems(lists["training"]) == listed[:3]
    assert stems(lists["test"]) == listed[3:]
    label = nib.load(tmp_path / "out" / lists["test"][0]["label"])
    assert np.unique(np.asarray(label.dataobj)).tolist() == [0, 1, 2, 35]
    with pytest.raises(InputError, match=r"23 subjects have aligned scans; expected 414"):
        prepare("oasis", raw, tmp_path / "all")


@pytest.mark.parametrize(
    ("image", "label"),
    [("imagesTr/OASIS_{:04d}_0000", "labelsTr/OASIS_{:04d}_0000"), ("img{:04d}", "seg{:04d}")],
)
def test_oasis_as_learn2reg_hands_it_out(tmp_path, image, label):
    structures = numbered(SHAPE, (1, 35)).astype(np.uint8)
    for number in range(1, 23):
        save(tmp_path / f"{image.format(number)}.nii.gz", scan(number, structures))
        save(tmp_path / f"{label.format(number)}.nii.gz", structures)
    reader = find_reader("oasis")
    lists = reader.list_cases(tmp_path, partial=True)
    assert [len(lists[section]) for section in ("training", "test")] == [2, 20]
    assert reader.read(tmp_path, lists["test"][-1]).label.max() == 35
    with pytest.raises(InputError, match="has neither folders OASIS_OAS1_0001_MR1"):
        reader.list_cases(tmp_path / "nothing", partial=True)


def test_acdc_pairs_have_both_frames_and_the_hearts_place(tmp_path):
    raw = write_acdc_pairs(tmp_path / "raw", [1, 2, 101])
    assert prepare("acdc_pairs", raw, tmp_path / "out", partial=True) == {"training": 4, "test": 2}
    lists = lists_of(tmp_path / "out")
    assert [(entry["patient"], entry["stage"]) for entry in lists["training"][:2]] == [
        ("patient001", "ED"),
        ("patient001", "ES"),
    ]
    assert {entry["patient"] for entry in lists["test"]} == {"patient101"}
    # labels at ED: 2..9, 4..11, 1..4 in voxels of -1.5, -1.5, 10 mm
    assert lists["training"][0]["centre"] == lists["training"][1]["centre"] == [-8.25, -11.25, 25.0]
    with pytest.raises(InputError, match="294 of the 300 published cases are missing"):
        prepare("acdc_pairs", raw, tmp_path / "all")
    (raw / "database/testing/patient101/patient101_frame12_gt.nii.gz").unlink()
    with pytest.raises(InputError, match="early copies lack the truth of testing"):
        prepare("acdc_pairs", raw, tmp_path / "again", partial=True)


def test_hippocampus_is_laid_on_its_middle(tmp_path):
    raw = write_hippocampus(tmp_path / "raw", 11)
    assert prepare("hippocampus", raw, tmp_path / "out") == {"training": 9, "test": 2}
    lists = lists_of(tmp_path / "out")
    assert stems(lists["test"]) == ["hippocampus_010", "hippocampus_011"]
    for entry in lists["training"]:
        written = nib.load(tmp_path / "out" / entry["image"])
        source = nib.load(raw / "Task04_Hippocampus" / "imagesTr" / entry["image"].split("/")[-1])
        assert np.array_equal(np.asarray(written.dataobj), np.asarray(source.dataobj))
        middle = nib.affines.apply_affine(written.affine, [n // 2 for n in written.shape])
        np.testing.assert_allclose(middle, 0)
    (raw / "Task04_Hippocampus" / "imagesTr" / "hippocampus_003.nii.gz").unlink()
    with pytest.raises(InputError, match="1 of the 11 published cases are missing"):
        prepare("hippocampus", raw, tmp_path / "again")


def test_mmwhs_is_on_one_grid_with_labels_1_to_7(tmp_path):
    raw = write_mmwhs(tmp_path / "raw")
    lists = MMWHS.list_cases(raw, partial=False)
    assert [len(cases) for cases in lists.values()] == [16, 4]
    first, second = (MMWHS.read(raw, f"ct_train_{number}") for number in (1001, 1004))
    assert first.image.shape == second.label.shape == (144, 144, 128)
    np.testing.assert_allclose(first.affine, second.affine)
    np.testing.assert_allclose(nib.affines.voxel_sizes(first.affine), [1, 1, 1.25])
    for case in (first, second):
        assert np.unique(case.label).tolist() == list(range(8)), "421 is 420"
    # aligned: the second heart is three voxels (18 mm) off in its file
    agree = (first.label == second.label)[(first.label > 0) | (second.label > 0)].mean()
    assert agree > 0.85
    for number in (1019, 1020):
        (raw / "ct_train" / f"ct_train_{number}_image.nii.gz").unlink()
    with pytest.raises(InputError, match="2 of the 20 published cases are missing"):
        MMWHS.list_cases(raw, partial=False)


def test_an_affine_map_is_found():
    """A CT is laid on itself written with another origin, a shift and a stretch."""
    values = np.random.default_rng(0).normal(size=(6, 6, 6))
    grown = np.kron(values, np.ones((5, 5, 5))) * 150 + 100
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    true = np.eye(4)
    true[0, 0], true[:3, 3] = 1.06, (9.0, -6.0, 100.0)
    found = affine_map(grown, affine, grown, true @ affine)
    places = np.array([[10.0, 10, 10], [80, 20, 60], [40, 70, 30]])
    gap = nib.affines.apply_affine(found, places) - nib.affines.apply_affine(true, places)
    assert np.abs(gap).max() < 1.5
