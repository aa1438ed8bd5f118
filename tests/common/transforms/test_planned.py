"""Planned resampling and scaling: sizes, geometry, inverse, values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Spacing

from common.inference.own_grid import own_grid
from common.transforms.planned import (
    PlannedIntensityd,
    PlannedSpacingLabeld,
    is_anisotropic,
    planned_spacing,
    resample_per_class,
)


def volume(shape: tuple[int, ...], spacing: tuple[float, float, float], dtype=torch.float32) -> MetaTensor:
    affine = torch.diag(torch.tensor([*spacing, 1.0], dtype=torch.float64))
    data = torch.linspace(0, 1, shape[-1]).expand(1, *shape).clone()
    return MetaTensor(data.to(dtype), affine=affine)


def test_anisotropy_begins_above_three():
    assert not is_anisotropic([3.0, 1.0, 1.0])
    assert is_anisotropic([3.1, 1.0, 1.0])


@pytest.mark.parametrize("spacing", [(1.5, 1.5, 1.5), (6.0, 1.5, 1.5)])
def test_spacing_is_reached_and_undone(spacing):
    image = volume((8, 12, 12), (3.0, 1.0, 1.0))
    transform = planned_spacing("image", spacing)
    resampled = transform({"image": image})["image"]
    assert resampled.pixdim.tolist() == pytest.approx(spacing)
    back = transform.inverse({"image": resampled})["image"]
    assert back.shape == image.shape
    torch.testing.assert_close(back.affine, image.affine)


def test_images_are_resampled_by_splines():
    """A cubic spline reproduces a ramp between voxels; nearest neighbour does not."""
    fine = planned_spacing("image", (3.0, 0.95, 0.8))({"image": volume((8, 12, 12), (3.0, 1.0, 1.0))})[
        "image"
    ]
    steps = np.diff(np.asarray(fine)[0, 4, 6, 3:-3])
    assert steps.min() > 0
    assert np.allclose(steps, 0.8 / 11, rtol=0.05)


def test_the_coarse_axis_of_an_anisotropic_spacing_takes_the_nearest_slice():
    image = volume((6, 8, 8), (5.0, 1.0, 1.0))
    image[:] = torch.randn(1, 6, 1, 1)
    known = set(np.unique(np.asarray(image)).tolist())
    resampled = planned_spacing("image", (4.0, 1.0, 1.0))({"image": image})["image"]
    assert resampled.shape[1] > 6
    assert all(min(abs(v - k) for k in known) < 1e-5 for v in np.unique(np.asarray(resampled)).tolist())


def test_the_scans_own_spacing_may_say_which_axis_is_coarse():
    """A low resolution is not anisotropic, but slices of 5.5 pixels are."""
    target = [4.0, 1.4, 1.4]
    thick, even = volume((8, 12, 12), (3.0, 0.5, 0.5)), volume((8, 12, 12), (3.0, 1.4, 1.4))
    thick[:] = torch.rand(thick.shape, generator=torch.Generator().manual_seed(0))
    by_scan = planned_spacing("image", target, by_scan=True)
    stepwise = planned_spacing("image", [3.0, 1.4, 1.4])({"image": thick})
    stepwise = Spacing(pixdim=[4.0, -1, -1], mode="nearest", padding_mode="border")(stepwise["image"])
    assert torch.allclose(by_scan({"image": thick})["image"], stepwise, atol=1e-5)
    usual = planned_spacing("image", target)
    assert torch.equal(by_scan({"image": even})["image"], usual({"image": even})["image"])
    assert not torch.allclose(usual({"image": thick})["image"], stepwise, atol=1e-3)
    assert own_grid(by_scan({"image": thick})["image"]).nearest == {0}
    label = volume((8, 12, 12), (3.0, 0.5, 0.5))
    label[:] = (thick > 0.5).float()
    found, smooth = (
        PlannedSpacingLabeld("label", target, by_scan=yes)({"label": label})["label"] for yes in (True, False)
    )
    assert found.shape == stepwise.shape
    slices = Spacing(pixdim=[-1, 1.4, 1.4], mode="bilinear", padding_mode="border")(label)
    share = Spacing(pixdim=[4.0, -1, -1], mode="nearest", padding_mode="border")(slices)
    assert torch.equal(found, (share >= 0.5).float())
    assert not torch.equal(found, smooth)


def test_labels_keep_their_values_and_stay_aligned_with_the_image():
    label = MetaTensor(torch.zeros(1, 8, 12, 12), affine=torch.diag(torch.tensor([3.0, 1, 1, 1])))
    label[0, 2:6, 3:9, 2:8] = 5
    label[0, :, 10:, 10:] = 2
    resampled = PlannedSpacingLabeld("label", (1.1, 0.4, 0.4))({"label": label})["label"]
    image = planned_spacing("image", (1.1, 0.4, 0.4))({"image": label.clone()})["image"]
    assert set(np.unique(np.asarray(resampled)).tolist()) == {0.0, 2.0, 5.0}
    assert resampled.shape == image.shape
    torch.testing.assert_close(resampled.affine, image.affine)
    share = float((resampled == 5).sum() * 1.1 * 0.16 / ((label == 5).sum() * 3))
    assert share == pytest.approx(1, abs=0.1)


def test_per_class_resampling_is_linear_and_takes_the_larger_share():
    label = torch.tensor([0.0, 0, 7, 7, 3, 3]).view(1, 1, 1, 6)
    doubled = resample_per_class(MetaTensor(label), Spacing(pixdim=(1, 1, 0.5), mode="bilinear"))
    values = np.asarray(doubled).ravel()
    assert list(dict.fromkeys(values.tolist())) == [0.0, 7.0, 3.0]


def test_without_any_class_the_label_is_background():
    """Outside the volume, where resampling pads with zeros."""
    empty = resample_per_class(torch.tensor([0.0, 4, 4]).view(1, 1, 1, 3), torch.zeros_like)
    assert not empty.any()


def test_ct_scheme_clips_and_scales():
    scheme = {"scheme": "ct", "clip": [-100, 300], "mean": 50.0, "sd": 25.0}
    image = torch.tensor([-1000.0, -100, 50, 300, 2000]).view(1, 1, 1, 5)
    scaled = PlannedIntensityd("image", [scheme])({"image": image})["image"]
    assert scaled.ravel().tolist() == [-6.0, -6.0, 0.0, 10.0, 10.0]
    assert image.ravel()[0] == -1000  # the input stays


def test_zscore_of_each_channel():
    image = torch.stack([torch.randn(4, 5, 6) * 3 + 7, torch.randn(4, 5, 6) * 0.1])
    scaled = PlannedIntensityd("image", [{"scheme": "zscore"}] * 2)({"image": image})["image"]
    for channel in scaled:
        assert float(channel.mean()) == pytest.approx(0, abs=1e-4)
        assert float(channel.std()) == pytest.approx(1, abs=1e-4)


def test_input_that_contradicts_the_plan():
    with pytest.raises(ValueError, match="'percent'"):
        PlannedIntensityd("image", [{"scheme": "percent"}])
    with pytest.raises(ValueError, match=r"2 channels.*1 intensity"):
        PlannedIntensityd("image", [{"scheme": "zscore"}])({"image": torch.zeros(2, 3, 3, 3)})


def test_schemes_of_pictures():
    image = torch.tensor([[[0.0, 50.0]], [[100.0, 200.0]], [[25.0, 255.0]]])
    together = PlannedIntensityd("image", [{"scheme": "minmax"}] * 3)({"image": image})["image"]
    torch.testing.assert_close(together, image / 255)
    torch.testing.assert_close(image[0, 0, 1], torch.tensor(50.0))  # the input stays
    scaled = PlannedIntensityd("image", [{"scheme": "imagenet"}] * 3)({"image": image})["image"]
    torch.testing.assert_close(scaled[1, 0, 1], torch.tensor((200 / 255 - 0.456) / 0.224))
    torch.testing.assert_close(scaled[2, 0, 0], torch.tensor((25 / 255 - 0.406) / 0.225))
    flat = PlannedIntensityd("image", [{"scheme": "minmax"}] * 3)({"image": torch.full((3, 2, 2), 7.0)})
    assert torch.equal(flat["image"], torch.zeros(3, 2, 2))


def test_spacing_leaves_the_other_values_of_a_sample_alone():
    """MONAI Label adds ``image_path``, which MONAI's own transform takes for a dict."""
    image = volume((4, 6, 8), (2.0, 2.0, 2.0))
    image.meta["filename_or_obj"] = "a.nii.gz"
    sample = {"image": image, "image_path": "a.nii.gz", "label": 3}
    spacing = planned_spacing("image", (1.0, 1.0, 1.0))
    resampled = spacing(sample)
    assert resampled["image"].shape == (1, 7, 11, 15)
    assert {k: v for k, v in resampled.items() if k != "image"} == {"image_path": "a.nii.gz", "label": 3}
    back = spacing.inverse(resampled)
    assert back["image"].shape == image.shape
    assert back["image_path"] == "a.nii.gz"
