"""The phantom ``kidneys``: the challenge's files, annotators who disagree, masses that intensity alone
misses.
"""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from common.datasets.raw.kits21_annotations import aggregate, annotation_files, case_folders
from common.errors import InputError
from common.evaluation.baselines import baseline_dice
from common.phantoms import kidneys

SIZES = {"training": 4, "validation": 1, "test": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return Path(kidneys.make(tmp_path_factory.mktemp("data") / "kidneys", **SIZES))


@pytest.fixture(scope="module")
def cases(folder):
    dataset = json.loads((folder / "dataset.json").read_text())
    entries = [e for section in ("training", "validation", "test") for e in dataset[section]]
    return [(nib.load(folder / e["image"]), nib.load(folder / e["label"]), e) for e in entries]


def voxels(nifti) -> np.ndarray:
    return np.asarray(nifti.dataobj)


def test_files(folder, cases):
    assert len(cases) == 7
    for image, label, entry in cases:
        assert image.get_data_dtype() == np.int16
        assert label.get_data_dtype() == np.uint8
        assert image.shape == label.shape == (72, 56, 40)
        assert np.allclose(image.affine, label.affine)
        assert nib.aff2axcodes(image.affine) == ("L", "A", "S")
        assert {1, 2} <= set(np.unique(voxels(label)).tolist()) <= {0, 1, 2, 3}
        assert all((folder / file).is_file() for file in entry["annotations"])
    assert any((voxels(label) == 3).any() for _, label, _ in cases)


def test_the_label_is_the_majority_of_the_annotators(folder, cases):
    folders = {**case_folders(folder / "annotationsTr"), **case_folders(folder / "annotationsTs")}
    assert len(folders) == len(cases)
    for _, label, entry in cases:
        files = annotation_files(folders[Path(entry["label"]).name.removesuffix(".nii.gz")])
        masks = {r: [[voxels(nib.load(p)) for p in one] for one in found] for r, found in files.items()}
        assert (aggregate(masks) == voxels(label)).all()
        assert all(len(one) == 3 for found in masks.values() for one in found)
        for one in masks["kidney"]:
            assert 0.5 < (one[0] & one[1]).sum() / (one[0] | one[1]).sum() < 1


def test_sizes_and_intensities(cases):
    for image, label, _ in cases:
        ml = abs(np.linalg.det(label.affine[:3, :3])) / 1000
        counts = np.bincount(voxels(label).ravel(), minlength=4) * ml
        assert 60 < counts[1:].sum() < 800
        assert 1 < counts[2] < 250
        assert 60 < np.median(voxels(image)[voxels(label) == 1]) < 220


def test_intensity_alone_does_not_find_the_masses(folder):
    scores = baseline_dice(folder, section="test", classes=4)
    assert max(np.nanmean(table[:, 1]) for table in scores.values()) < 0.4  # tumors


def test_same_arguments_reuse_the_files_and_others_rebuild(folder, tmp_path):
    small = {"training": 1, "validation": 0, "test": 0, "shape": (72, 56, 40)}
    again = Path(kidneys.make(tmp_path / "k", **small))
    name = "imagesTr/kidneys_training_000.nii.gz"
    assert (voxels(nib.load(again / name)) == voxels(nib.load(folder / name))).all()
    coarse = {**small, "shape": (40, 32, 24), "spacing": (7.0, 7.0, 8.0)}
    kidneys.make(tmp_path / "k", **coarse)
    assert nib.load(again / name).shape == (40, 32, 24)
    annotation = next((again / "annotationsTr").rglob("*.nii.gz"))
    annotation.unlink()
    kidneys.make(tmp_path / "k", **coarse)
    assert annotation.is_file(), "a folder without it is not whole"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"shape": (8, 8)}, "three whole numbers"),
        ({"shape": (999, 999, 999)}, "more than"),
        ({"spacing": (0, 1, 1)}, "three lengths"),
        ({"seed": -1}, "whole number from 0"),
    ],
)
def test_arguments_out_of_range(tmp_path, arguments, told):
    with pytest.raises(InputError, match=told):
        kidneys.make(tmp_path / "k", **arguments)
