"""SegRap2023's two archives: pairs of CT, exclusive classes read or composed, the tutorial's lists."""

from __future__ import annotations

import json
import random

import nibabel as nib
import numpy as np
import pytest
from monai.transforms import Compose, EnsureChannelFirst, LoadImage

from common.datasets import read_datalist
from common.datasets.raw.prepare import find_reader, prepare
from common.datasets.raw.segrap_classes import expand
from common.errors import InputError
from tests.common.datasets.raw_segrap2023 import AFFINE, CASES, SHAPE, RawSegRap
from tests.common.datasets.raw_volumes import save

CASE = "segrap_0095"  # the first of the training list
FEW = [CASE, "segrap_0103", "segrap_0110"]  # one of each list


@pytest.fixture
def raw(tmp_path):
    return RawSegRap(tmp_path / "raw", FEW)


def make(raw, tmp_path, **options):
    return prepare("segrap2023", raw.root, tmp_path / "out", **{"partial": True, **options})


def written(tmp_path):
    return json.loads((tmp_path / "out" / "dataset.json").read_text())


def cases(entries):
    return [entry["image"].split("/")[1].removesuffix(".nii.gz") for entry in entries]


def test_the_tutorials_lists(tmp_path):
    names = [f"segrap_{number:04d}" for number in range(120)]
    for name in names:
        folder = tmp_path / CASES / name
        folder.mkdir(parents=True)
        (folder / "image.nii.gz").touch()
    random.Random(2023).shuffle(names)  # as in the tutorial
    lists = find_reader("segrap2023").list_cases(tmp_path, partial=False)
    assert lists == {"training": names[:84], "validation": names[84:96], "test": names[96:]}


def test_a_pair_with_both_labels(raw, tmp_path):
    assert make(raw, tmp_path) == {"training": 1, "validation": 1, "test": 1}
    lists = written(tmp_path)
    assert lists["modality"] == {"0": "CT", "1": "CT"}
    assert lists["gtv_labels"] == {"0": "background", "1": "GTVp", "2": "GTVnd"}
    assert len(lists["labels"]) == 55
    entry = read_datalist(tmp_path / "out")["training"][0]
    image = nib.load(entry["image"])
    assert np.array_equal(
        np.asarray(image.dataobj), np.stack([raw.image(CASE, 0), raw.image(CASE, 1)], axis=-1)
    ), "without contrast agent first"
    assert np.allclose(image.affine, AFFINE)
    loaded = Compose([LoadImage(image_only=True), EnsureChannelFirst()])(entry["image"])
    assert loaded.shape == (2, *SHAPE), "as bundles load it"
    for key, expected in (("label", raw.fine(CASE)), ("gtv", raw.gtv(CASE))):
        label = nib.load(tmp_path / "out" / lists["training"][0][key])
        assert label.get_data_dtype() == np.uint8
        assert np.array_equal(np.asarray(label.dataobj), expected)


def test_one_list_of_all_cases(raw, tmp_path):
    assert make(raw, tmp_path, one_list=True) == {"training": 3, "test": 0}
    assert cases(written(tmp_path)["training"]) == sorted(FEW)


def test_files_by_structure_compose_to_the_same(tmp_path):
    raw = RawSegRap(tmp_path / "raw", [CASE], maps=False, structures=True)
    made = find_reader("segrap2023").read(raw.root, CASE)
    assert np.array_equal(made.label, raw.fine(CASE))
    assert np.array_equal(made.further_labels["gtv"], raw.gtv(CASE))


def test_a_channel_for_each_structure(raw):
    masks = expand(raw.fine(CASE)).astype(np.uint8)
    save(raw.map(CASE, "Task001"), np.moveaxis(masks, 0, -1), AFFINE)
    assert np.array_equal(find_reader("segrap2023").read(raw.root, CASE).label, raw.fine(CASE))


def test_source_may_be_the_folder_of_cases(raw):
    made = find_reader("segrap2023").read(raw.root / CASES, CASE)
    assert np.array_equal(made.label, raw.fine(CASE))


def _no_contrast(raw):
    raw.file(CASE, "image_contrast").unlink()


def _no_plain(raw):
    raw.file(CASE, "image").unlink()


def _another_shape(raw):
    save(raw.file(CASE, "image_contrast"), raw.image(CASE, 1)[:, :, 1:], AFFINE)


def _another_place(raw):
    affine = AFFINE.copy()
    affine[2, 3] = 3
    save(raw.file(CASE, "image_contrast"), raw.image(CASE, 1), affine)


def _unsigned(raw):
    save(raw.file(CASE, "image"), raw.image(CASE, 0) + 1024, AFFINE)


def _55(raw):
    save(raw.map(CASE, "Task001"), raw.fine(CASE) + 1, AFFINE)


def _three_gtvs(raw):
    save(raw.map(CASE, "Task002"), raw.gtv(CASE) + 1, AFFINE)


def _44_channels(raw):
    masks = expand(raw.fine(CASE))[:44].astype(np.uint8)
    save(raw.map(CASE, "Task001"), np.moveaxis(masks, 0, -1), AFFINE)


def _label_elsewhere(raw):
    save(raw.map(CASE, "Task001"), raw.fine(CASE), np.eye(4))


def _nothing_labelled(raw):
    save(raw.map(CASE, "Task001"), 0 * raw.fine(CASE), AFFINE)


def _a_structure_missing(raw):
    raw.map(CASE, "Task001").unlink()
    raw.write_structures(CASE)
    raw.file(CASE, "Lens_R").unlink()


def _overlapping(raw):
    raw.map(CASE, "Task001").unlink()
    raw.write_structures(CASE)
    fine = raw.fine(CASE)
    save(raw.file(CASE, "Trachea"), np.isin(fine, (40, 54)).astype(np.uint8), AFFINE)


def _overlapping_gtvs(raw):
    raw.map(CASE, "Task002").unlink()
    raw.write_structures(CASE)
    save(raw.file(CASE, "GTVp"), (raw.gtv(CASE) > 0).astype(np.uint8), AFFINE)


def _unlabelled_case(raw):
    save(raw.file("segrap_0120", "image"), raw.image(CASE, 0), AFFINE)


BAD = {
    _no_contrast: f"{CASE}/image_contrast.nii.gz: not there; expected one CT of the pair",
    _no_plain: f"{CASE}/image.nii.gz: not there; expected one CT of the pair",
    _another_shape: rf"{CASE}/image_contrast.nii.gz: has the shape \(8, 7, 5\); expected \(8, 7, 6\)",
    _another_place: f"{CASE}/image_contrast.nii.gz: its affine puts voxels up to 3 mm from where",
    _unsigned: f"{CASE}/image.nii.gz: its lowest value is 2.; expected HU",
    _55: f"Task001/{CASE}.nii.gz: has the values 1, .*; expected whole numbers from 0 to 54",
    _three_gtvs: f"Task002/{CASE}.nii.gz: has the values 1, 2, 3; expected whole numbers from 0 to 2",
    _44_channels: f"Task001/{CASE}.nii.gz: has 44 channels; expected one map of classes, or 45 channels",
    _label_elsewhere: f"Task001/{CASE}.nii.gz: its affine puts voxels",
    _nothing_labelled: f"{CASE}: no organ is labelled",
    _a_structure_missing: f"{CASE}/Lens_R.nii.gz: not there; expected the mask of Lens_R, or the map of",
    _overlapping: f"{CASE}: masks overlap as no class does: Parotid_L and Trachea in . voxels; .*download",
    _overlapping_gtvs: f"{CASE}: masks overlap as no class does: GTVp and GTVnd in",
    _unlabelled_case: "holds segrap_0120, which is none of the 120 labelled cases",
}


@pytest.mark.parametrize("spoil", BAD, ids=lambda f: f.__name__)
def test_bad_files(raw, tmp_path, spoil):
    spoil(raw)
    with pytest.raises(InputError, match=BAD[spoil]) as caught:
        make(raw, tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_an_incomplete_release(raw, tmp_path):
    with pytest.raises(InputError, match=r"117 of the 120 published cases are missing: .*--partial true"):
        make(raw, tmp_path, partial=False)
    with pytest.raises(InputError, match="has no folders segrap_0000"):
        prepare("segrap2023", tmp_path, tmp_path / "out")
