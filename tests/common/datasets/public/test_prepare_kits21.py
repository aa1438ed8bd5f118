"""KiTS21's release: annotations aggregated, files checked, test cases without labels."""

from __future__ import annotations

import json
import shutil

import nibabel as nib
import numpy as np
import pytest

from common.datasets import read_datalist
from common.datasets.raw.kits21_annotations import annotation_files
from common.datasets.raw.prepare import prepare
from common.errors import InputError
from tests.common.datasets.raw_kits21 import AFFINE, RawKits21, box, save


@pytest.fixture
def raw(tmp_path):
    return RawKits21(tmp_path / "raw kits", cases=3)


def make(raw, tmp_path, **options):
    return prepare("kits21", raw.root, tmp_path / "out", **{"partial": True, **options})


def test_cases_and_labels(raw, tmp_path):
    assert make(raw, tmp_path, validation=1) == {"training": 2, "validation": 1, "test": 0}
    lists = read_datalist(tmp_path / "out", holdout=0)
    entry = lists["training"][1]
    image = nib.load(entry["image"])
    assert image.get_data_dtype() == np.int16
    assert np.array_equal(np.asarray(image.dataobj), raw.image(1))
    assert np.allclose(image.affine, AFFINE)
    written = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert written["labels"] == {"0": "background", "1": "kidney", "2": "tumor", "3": "cyst"}
    assert [case["label"] for case in written["validation"]] == ["labelsTr/case_00002.nii.gz"]
    for key, last in (("label_and", 6), ("label", 7), ("label_or", 8)):
        label = nib.load(tmp_path / "out" / written["training"][1][key])
        expected = box(1, last) + box(4, last)  # the tumor over the kidney; the ureter nowhere
        assert np.array_equal(np.asarray(label.dataobj), expected), key
        assert np.allclose(label.affine, AFFINE)


def test_fewer_than_300_cases_must_be_requested(raw, tmp_path):
    with pytest.raises(InputError, match=r"has 3 cases; expected 300: .*--partial true"):
        make(raw, tmp_path, partial=False)
    shutil.copytree(raw.folder(0), raw.root / "data" / "case_00400")
    with pytest.raises(InputError, match=r"case_00400: 1 cases are beyond case_00299; .*another year"):
        make(raw, tmp_path)
    assert not (tmp_path / "out").exists()


def _turned(raw):
    save(raw.annotation(1, annotation=2), box(1, 6).transpose(2, 0, 1))


def _elsewhere(raw):
    save(
        raw.annotation(1, annotation=2),
        box(1, 6),
        AFFINE + np.array([[0] * 4] * 2 + [[0, 0, 0, 3]] + [[0] * 4]),
    )


def _values(raw):
    save(raw.annotation(1, annotation=2), 2 * box(1, 6))


def _cut_off(raw):
    whole = raw.annotation(1).read_bytes()
    raw.annotation(1).write_bytes(whole[: len(whole) // 2])


def _one_missing(raw):
    raw.annotation(1, annotation=2).unlink()


def _no_kidney(raw):
    for a in (1, 2, 3):
        raw.annotation(1, annotation=a).unlink()


def _unsigned(raw):
    save(raw.folder(1) / "imaging.nii.gz", raw.image(1) + 1024)


def _nan(raw):
    image = raw.image(1)
    image[1, 2, 3] = np.nan
    save(raw.folder(1) / "imaging.nii.gz", image)


def _no_image(raw):
    (raw.folder(1) / "imaging.nii.gz").unlink()


def _another_version(raw):
    raw.aggregate(1)
    save(raw.aggregated(1, "OR"), box(1, 7) + box(4, 7))


def _aggregated_turned(raw):
    raw.aggregate(1)
    save(raw.aggregated(1, "MAJ"), (box(1, 7) + box(4, 7)).transpose(2, 0, 1))


def _empty(raw):
    for path in (raw.folder(1) / "segmentations").iterdir():
        save(path, np.zeros((6, 9, 10), np.uint8))


BAD = {
    _turned: r"annotation-2.nii.gz: has the shape \(10, 6, 9\); expected \(6, 9, 10\), .* another order",
    _elsewhere: r"annotation-2.nii.gz: its affine puts voxels up to 3 mm from where .*imaging",
    _values: r"annotation-2.nii.gz: has the values 0, 2; expected whole numbers from 0 to 1",
    _cut_off: r"kidney_instance-1_annotation-1.nii.gz: (is truncated|cannot be read)",
    _one_missing: r"annotations of kidney instance 1 have the numbers \[1, 3\]; expected \[1, 2\]",
    _no_kidney: "no file kidney_instance-<i>_annotation-<a>.nii.gz",
    _another_version: "aggregated_OR_seg.nii.gz: differs from its annotations, .* in 20 voxels; .*version",
    _aggregated_turned: r"aggregated_MAJ_seg.nii.gz: has the shape \(10, 6, 9\)",
    _unsigned: "its lowest value is 2[0-9]; expected HU",
    _nan: "1 voxels are NaN or infinite",
    _no_image: "imaging.nii.gz: not there, 1 of 3 cases",
    _empty: "the majority of the annotations is empty",
}


@pytest.mark.parametrize("spoil", BAD, ids=lambda f: f.__name__)
def test_bad_files(raw, tmp_path, spoil):
    spoil(raw)
    with pytest.raises(InputError, match=BAD[spoil]):
        make(raw, tmp_path)
    assert not (tmp_path / "out").exists()


def test_files_are_in_the_order_of_their_numbers(raw):
    for number in range(2, 12):
        save(raw.annotation(0, "cyst", instance=number - 1), box(1, 2))
    found = annotation_files(raw.folder(0))
    assert [path.name for one in found["cyst"] for path in one] == [
        f"cyst_instance-{number}_annotation-1.nii.gz" for number in range(1, 11)
    ]
    assert [len(one) for one in found["kidney"]] == [3]


def test_instances_need_not_be_numbered_from_1(raw, tmp_path):
    """One kidney of two was taken out of the release, and the first tumor."""
    for region in ("kidney", "tumor"):
        for a in (1, 2, 3):
            path = raw.annotation(1, region, annotation=a)
            path.rename(raw.annotation(1, region, instance=3, annotation=a))
    assert make(raw, tmp_path)["training"] == 3
    labels = [nib.load(tmp_path / "out" / "labelsTr" / f"case_0000{n}.nii.gz") for n in (0, 1)]
    assert np.array_equal(*(np.asarray(label.dataobj) for label in labels))


def test_the_releases_own_labels_are_the_same(raw, tmp_path):
    raw.aggregate(0)
    raw.aggregate(1)
    shutil.rmtree(raw.folder(1) / "segmentations")  # the aggregated files alone
    shutil.rmtree(raw.folder(2) / "segmentations")
    raw.aggregate(2)
    for rule in ("OR", "AND"):
        raw.aggregated(2, rule).unlink()
    assert make(raw, tmp_path)["training"] == 3
    first, second, third = json.loads((tmp_path / "out" / "dataset.json").read_text())["training"]
    assert set(first) == set(second) == {"image", "label", "label_or", "label_and"}
    assert set(third) == {"image", "label"}
    for key in ("label", "label_or", "label_and"):
        arrays = [np.asarray(nib.load(tmp_path / "out" / e[key]).dataobj) for e in (first, second)]
        assert np.array_equal(*arrays), key
