"""Volumes as slices: which ones, and what is scaled slice by slice."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, ornt_transform

from common.errors import InputError
from common.transforms.slices import (
    ClipSlicesd,
    KeepLabelledSlicesd,
    ScaleSlicesd,
    TakeSliced,
    labelled_slices_of,
)


def stored(tmp_path, name, volume, axcodes):
    """A volume (R, A, S) in another orientation of the file."""
    turn = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(tuple(axcodes)))
    image = nib.Nifti1Image(volume, np.eye(4)).as_reoriented(turn)
    np.testing.assert_allclose(image.affine, inv_ornt_aff(turn, volume.shape))
    nib.save(image, tmp_path / name)
    return str(tmp_path / name)


@pytest.mark.parametrize("axcodes", ["RAS", "SPL", "LPI", "AIR"])
def test_labelled_slices_are_counted_from_foot_to_head(axcodes, tmp_path, monkeypatch):
    """And their numbers are those of a volume that is turned for training."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    label = np.zeros((4, 5, 6), np.uint8)
    label[1:3, 2, [1, 2, 4]] = 1
    label[0, 0, 5] = 9
    files = {key: stored(tmp_path, f"{key}.nii.gz", label, axcodes) for key in ("image", "label")}
    items = labelled_slices_of([{**files, "domain": "A"}], {9: 0})
    assert [item["slice"] for item in items] == [1, 2, 4]
    assert all(item["domain"] == "A" for item in items)
    assert [item["slice"] for item in labelled_slices_of([files])] == [1, 2, 4, 5]


def test_cases_without_labelled_slices_are_told(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = stored(tmp_path, "a.nii.gz", np.zeros((4, 5, 6), np.uint8), "RAS")
    with pytest.raises(InputError, match="none of the 1 cases has a labelled slice"):
        labelled_slices_of([{"image": file, "label": file}])


def test_a_case_that_cannot_be_cut_stays_for_the_check_to_say_why(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    label = np.zeros((4, 5, 6), np.uint8)
    label[1, 1, 3] = 1
    file = stored(tmp_path, "a.nii.gz", label, "RAS")
    (tmp_path / "broken.nii.gz").write_text("no NIfTI")
    broken = str(tmp_path / "broken.nii.gz")
    cases = [{"image": file}, {"image": broken, "label": file}, {"image": file, "label": broken}]
    assert [item["slice"] for item in labelled_slices_of([*cases, {"image": file, "label": file}])] == [
        0,
        0,
        0,
        3,
    ]


def test_only_labelled_slices_are_kept():
    image = torch.arange(2 * 2 * 2 * 4.0).reshape(2, 2, 2, 4)
    label = torch.zeros(1, 2, 2, 4, dtype=torch.uint8)
    label[0, 1, 0, 1] = label[0, 0, 0, 3] = 1
    kept = KeepLabelledSlicesd(["image", "label"])({"image": image, "label": label})
    assert torch.equal(kept["image"], image[..., [1, 3]])
    assert torch.equal(kept["label"], label[..., [1, 3]])
    nothing = {"image": image, "label": 0 * label}
    assert torch.equal(KeepLabelledSlicesd(["image", "label"])(nothing)["image"], image)


@pytest.mark.parametrize("make", [lambda: ClipSlicesd("image", 10, 90), lambda: ScaleSlicesd("image")])
def test_a_volume_is_treated_as_its_slices_one_by_one(make):
    volume = MetaTensor(torch.rand(2, 6, 7, 3, generator=torch.Generator().manual_seed(0)) * 100 - 20)
    volume = volume * torch.tensor([1.0, 5.0, 0.2])
    whole = make()({"image": volume})["image"]
    assert whole.shape == volume.shape
    for number in range(3):
        one = make()(TakeSliced("image")({"image": volume, "slice": number}))["image"]
        assert torch.equal(whole[..., number].as_tensor(), one.as_tensor())
    assert not torch.allclose(whole, volume)


def test_percentiles_are_those_of_the_positive_voxels():
    """They alone are clipped: zeros and values below stay as they are."""
    image = torch.cat([torch.zeros(490), torch.full((10,), -3.0), torch.arange(1.0, 502)]).reshape(1, 7, 143)
    clipped = ClipSlicesd("image")({"image": image})["image"]
    low, high = np.percentile(np.arange(1, 502), [0.2, 99.8])
    assert torch.equal(clipped[image <= 0], image[image <= 0])
    assert clipped[image > 0].min() == pytest.approx(low)
    assert low > 1
    assert clipped.max() == pytest.approx(high)
    empty = torch.zeros(1, 3, 3)
    assert torch.equal(ClipSlicesd("image")({"image": empty})["image"], empty)


def test_scaled_slices_have_mean_0_and_deviation_1():
    image = torch.rand(1, 8, 8, 2) * torch.tensor([3.0, 70.0])
    scaled = ScaleSlicesd("image")({"image": image})["image"]
    torch.testing.assert_close(scaled.mean((1, 2)), torch.zeros(1, 2), atol=1e-5, rtol=0)
    torch.testing.assert_close(scaled.std((1, 2), correction=0), torch.ones(1, 2), atol=1e-5, rtol=0)
    flat = torch.full((1, 3, 3), 4.0)
    assert torch.equal(ScaleSlicesd("image")({"image": flat})["image"], torch.zeros(1, 3, 3))
