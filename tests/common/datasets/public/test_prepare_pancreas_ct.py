"""Pancreas-CT: prepared files as they are, raw CT prepared as MC-Net does (compared with ITK), lists."""

from __future__ import annotations

import itk
import nibabel as nib
import numpy as np
import pytest

from common.datasets import read_datalist
from common.datasets.raw.one_millimetre import box_in_plane, to_one_millimetre
from common.datasets.raw.prepare import prepare
from common.datasets.raw.published_lists import published_lists
from common.errors import InputError
from tests.common.datasets.raw_volumes import save, write_prepared_pancreas

SPACING = (0.8, 0.7, 2.5)
SHAPE = (40, 36, 8)
#: As DICOM series are: x to the left, y to the back.
AFFINE = np.array([[-0.8, 0, 0, 11], [0, -0.7, 0, 12], [0, 0, 2.5, 13], [0, 0, 0, 1]])


def scan() -> tuple[np.ndarray, np.ndarray]:
    """A CT (int16) with a bright block that is the label."""
    image = np.random.default_rng(0).integers(-80, 120, SHAPE).astype(np.int16)
    image[:3] = -1000
    label = np.zeros(SHAPE, np.uint8)
    label[12:20, 10:22, 2:6] = 1
    image[label > 0] += 60
    return image, label


@pytest.fixture
def raw(tmp_path):
    """Two scans, one image of which is stored (R, A, S); its label is not."""
    image, label = scan()
    root = tmp_path / "raw"
    lists = published_lists("pancreas_ct")
    for case, names in ((lists["training"][0], "LPS"), (lists["test"][0], "RAS")):
        stored = nib.Nifti1Image(image, AFFINE)
        if names == "RAS":
            stored = nib.as_closest_canonical(stored)
        save(root / "data" / f"PANCREAS_{case[-4:]}.nii.gz", np.asarray(stored.dataobj), stored.affine)
        save(root / "TCIA_pancreas_labels-02-05-2017" / f"label{case[-4:]}.nii.gz", label, AFFINE)
    return root


def resampled_by_itk(array: np.ndarray, interpolator: str) -> np.ndarray:
    image = itk.image_from_array(np.ascontiguousarray(array.transpose().astype(np.float64)))
    image.SetSpacing(SPACING)
    further = (itk.D,) if interpolator.startswith("BSpline") else ()
    kind = getattr(itk, interpolator)[(type(image), itk.D, *further)]
    size = [int(n * s) for n, s in zip(SHAPE, SPACING, strict=True)]
    moved = itk.resample_image_filter(
        image, interpolator=kind.New(), size=size, output_spacing=[1.0] * 3, output_origin=image.GetOrigin()
    )
    return itk.array_from_image(moved).transpose()


def test_one_millimetre_is_what_itk_computes():
    """Its last plane in z lies more than half a voxel beyond the scan's: 0 there."""
    image, label = scan()
    fine, fine_label, affine = to_one_millimetre(image, label, AFFINE)
    assert fine.shape == fine_label.shape == (32, 25, 20)
    by_itk = resampled_by_itk(image, "BSplineInterpolateImageFunction")
    assert np.abs(by_itk).max() > 500
    np.testing.assert_allclose(fine, by_itk, atol=0.01)
    assert not fine[..., -1].any()
    expected = resampled_by_itk(label, "NearestNeighborInterpolateImageFunction")
    assert np.array_equal(fine_label, expected)
    np.testing.assert_allclose(nib.affines.voxel_sizes(affine), 1)
    np.testing.assert_allclose(affine[:3, 3], AFFINE[:3, 3])


@pytest.mark.parametrize(
    ("low", "high", "kept"),
    [(60, 99, (7, 152)), (60, 250, (35, 275)), (5, 30, (0, 90)), (180, 290, (155, 300))],
)
def test_box(low, high, kept):
    """[max(a - p - 25, 0), min(b + p + 25, side)), p = max(96 - (b - a), 0) // 2."""
    label = np.zeros((300, 300, 4), np.uint8)
    label[low, 150, 1] = label[high, 150, 2] = 1
    box = box_in_plane(label)
    assert box[0] == slice(*kept)
    assert box[1:] == (slice(77, 223), slice(0, 4))


def test_raw_scans_are_prepared(raw, tmp_path):
    assert prepare("pancreas_ct", raw, tmp_path / "out", partial=True) == {"training": 1, "test": 1}
    lists = read_datalist(tmp_path / "out", holdout=0)
    one, other = (nib.load(lists[section][0]["image"]) for section in ("training", "test"))
    image, label = scan()
    fine, fine_label, _ = to_one_millimetre(image, label, AFFINE)
    expected = (np.clip(fine, -125, 275) + 125) / 400
    expected = (expected - expected.mean()) / expected.std()
    np.testing.assert_allclose(one.get_fdata(), expected, atol=1e-4)
    found = nib.load(lists["training"][0]["label"])
    assert np.array_equal(np.asarray(found.dataobj), fine_label)
    assert nib.aff2axcodes(one.affine) == ("L", "P", "S")
    np.testing.assert_allclose(one.get_fdata(), other.get_fdata(), atol=1e-4)
    np.testing.assert_allclose(one.affine, other.affine, atol=1e-4)


def test_a_crop_keeps_its_place(tmp_path):
    """A wide scan, so that something is cut off on every side in the plane."""
    shape, affine = (240, 230, 4), np.diag([-1.0, -1.0, 1.0, 1.0])
    image, label = np.full(shape, -1000, np.int16), np.zeros(shape, np.uint8)
    image[100:130, 110:140], label[110:120, 120:130] = 50, 1
    case = published_lists("pancreas_ct")["training"][0]
    save(tmp_path / "raw" / f"PANCREAS_{case[-4:]}.nii.gz", image, affine)
    save(tmp_path / "raw" / f"label{case[-4:]}.nii.gz", label, affine)
    prepare("pancreas_ct", tmp_path / "raw", tmp_path / "out", partial=True)
    written = nib.load(read_datalist(tmp_path / "out", holdout=0)["training"][0]["label"])
    assert written.shape == (2 * (43 + 25) + 9, 2 * (43 + 25) + 9, 4)
    (first, *_, last) = np.argwhere(np.asarray(written.dataobj))
    np.testing.assert_allclose(nib.affines.apply_affine(written.affine, first), [-110, -120, 0])
    np.testing.assert_allclose(nib.affines.apply_affine(written.affine, last), [-119, -129, 3])


def test_dicom_series(tmp_path):
    """Slices in one folder, sorted by place and not by name."""
    image, label = scan()
    case = published_lists("pancreas_ct")["training"][0]
    folder = tmp_path / "raw" / "Pancreas-CT" / f"PANCREAS_{case[-4:]}" / "study" / "series"
    folder.mkdir(parents=True)
    write_series(folder, image)
    save(tmp_path / "raw" / f"label{case[-4:]}.nii.gz", label, AFFINE)
    prepare("pancreas_ct", tmp_path / "raw", tmp_path / "out", partial=True)
    found = nib.load(read_datalist(tmp_path / "out", holdout=0)["training"][0]["image"])
    fine = to_one_millimetre(image, label, AFFINE)[0]
    expected = (np.clip(fine, -125, 275) + 125) / 400
    np.testing.assert_allclose(found.get_fdata(), (expected - expected.mean()) / expected.std(), atol=1e-4)


def write_series(folder, image: np.ndarray) -> None:
    for number in range(SHAPE[2]):
        one = itk.image_from_array(np.ascontiguousarray(image[..., number : number + 1].transpose()))
        one.SetSpacing(SPACING)
        one.SetOrigin([-11.0, -12.0, 13.0 + number * SPACING[2]])
        tags = one.GetMetaDataDictionary()
        tags["0008|0060"], tags["0020|000e"], tags["0008|0018"] = "CT", "1.2.3", f"1.2.3.{number + 1}"
        dicom = itk.GDCMImageIO.New()
        dicom.KeepOriginalUIDOn()
        itk.imwrite(one, str(folder / f"{SHAPE[2] - number:03d}.dcm"), imageio=dicom)


def test_prepared_files_stay_as_they_are(tmp_path):
    raw = write_prepared_pancreas(tmp_path / "raw", side=4)
    assert prepare("pancreas_ct", raw, tmp_path / "out") == {"training": 62, "test": 20}
    lists = read_datalist(tmp_path / "out", holdout=0)
    first = nib.load(lists["training"][0]["image"])
    assert lists["training"][0]["image"].endswith("image0057.nii.gz")
    expected = np.random.default_rng(0).normal(size=(4, 4, 4)).astype(np.float32)
    assert np.array_equal(np.asarray(first.dataobj), expected)
    np.testing.assert_allclose(first.affine, np.eye(4))


def test_the_numbers_of_versemi_are_another_data_set(tmp_path):
    raw = write_prepared_pancreas(tmp_path / "raw", "pancreas_ct_versemi", side=4)
    assert prepare("pancreas_ct_versemi", raw, tmp_path / "out") == {"training": 62, "test": 18}
    with pytest.raises(InputError, match=r"image0057 is not there; 82 of the 82 published cases"):
        prepare("pancreas_ct", raw, tmp_path / "other", partial=True)


def _flipped(raw, name, image, label):
    save(raw / "data" / name, np.where(label > 0, -900, image).astype(np.int16), AFFINE)


def _unsigned(raw, name, image, label):
    save(raw / "data" / name, (image + 1024).astype(np.int16), AFFINE)


def _other_shape(raw, name, image, label):
    save(raw / "data" / name, image[..., 1:], AFFINE)


def _no_label(raw, name, image, label):
    next(raw.rglob(name.replace("PANCREAS_", "label"))).unlink()


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_flipped, r"label0057.*100% of the labelled voxels are air or bone"),
        (_unsigned, r"PANCREAS_0057.*lowest value is 24; expected HU"),
        (_other_shape, r"label0057.*has the shape \(40, 36, 8\) turned .* expected \(40, 36, 7\)"),
        (_no_label, r"label0057\.nii\.gz: not there; expected the label of PANCREAS_0057"),
    ],
)
def test_bad_files(raw, tmp_path, spoil, told):
    spoil(raw, "PANCREAS_0057.nii.gz", *scan())
    with pytest.raises(InputError, match=told) as error:
        prepare("pancreas_ct", raw, tmp_path / "out", partial=True)
    assert "\n" not in str(error.value)
