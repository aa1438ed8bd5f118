"""Planned resampling and scaling: sizes, geometry, inverse, values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Spacing

from common.errors import InputError
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


BY_MODALITY = {"CT": [3.0, 1.0, 1.0], "MR": [2.0, 2.0, 2.0]}


def test_each_modality_is_resampled_and_scaled_by_its_own_plan():
    scheme = {"scheme": "ct", "clip": [-100, 300], "mean": 50.0, "sd": 25.0}
    spacing = planned_spacing("image", BY_MODALITY)
    label_spacing = PlannedSpacingLabeld("label", BY_MODALITY)
    scale = PlannedIntensityd("image", {"CT": [scheme], "MR": [{"scheme": "zscore"}]})
    for name, mm in (("ct", BY_MODALITY["CT"]), ("MR", BY_MODALITY["MR"])):
        image = volume((8, 12, 12), (3.0, 1.5, 1.5))
        case = {"image": image, "label": (image > 0.5).to(torch.uint8), "modality": name}
        spaced = label_spacing(spacing(case))
        assert spaced["image"].pixdim.tolist() == pytest.approx(mm)
        assert spaced["image"].shape == spaced["label"].shape
        scaled = scale(spaced)["image"]
        expected = -2.0 if name == "ct" else 0.0  # (0 to 1 - 50) / 25, or a z-score
        assert float(scaled.mean()) == pytest.approx(expected, abs=0.05)
        assert spacing.inverse({"image": spaced["image"], "modality": name})["image"].shape == image.shape


@pytest.mark.parametrize(
    ("modality", "told"),
    [("PET", "its modality is PET; the weights were trained on CT and MR: leave it out"),
     (None, "nothing says of which modality it is; .* --modality")],
)  # fmt: skip
def test_an_image_of_an_unplanned_modality_is_named(modality, told):
    image = volume((8, 12, 12), (3.0, 1.5, 1.5))
    image.meta["filename_or_obj"] = "a.nii.gz"
    for step in (
        planned_spacing("image", BY_MODALITY),
        PlannedIntensityd("image", {name: [{"scheme": "zscore"}] for name in BY_MODALITY}),
    ):
        with pytest.raises(InputError, match=rf"a\.nii\.gz: {told}"):
            step({"image": image, "modality": modality})


def is_nearest(resampled: MetaTensor, known: torch.Tensor) -> bool:
    return bool(torch.isin(torch.unique(resampled.as_tensor()), torch.unique(known.as_tensor())).all())


@pytest.mark.parametrize(
    ("original", "spacing", "nearest"),
    [
        ((5.0, 1.0, 1.0), (2.0, 1.0, 1.0), True),
        ((2.0, 1.0, 1.0), (5.0, 1.0, 1.0), True),
        ((2.0, 1.0, 1.0), (1.5, 1.0, 1.0), False),
    ],
    ids=["thick slices", "a thick target", "neither"],
)
def test_slices_that_are_thick_in_the_file_are_not_blended(original, spacing, nearest):
    image = volume((6, 8, 8), original)
    image[:] = torch.arange(6.0).view(1, 6, 1, 1) ** 2
    case = {"image": image, "label": (image % 2).to(torch.uint8)}
    resampled = planned_spacing("image", spacing, by_original=True)(case)["image"]
    assert resampled.pixdim.tolist() == pytest.approx(spacing)
    assert is_nearest(resampled.round(decimals=3), image) == nearest
    assert own_grid(resampled).nearest == ({0} if nearest else set())
    label = PlannedSpacingLabeld("label", spacing, by_original=True)(case)["label"]
    assert label.shape == resampled.shape
    if original[0] == 5:
        blended = planned_spacing("image", spacing)(case)["image"]
        assert not is_nearest(blended.round(decimals=3), image), "the target alone would not say so"
        assert torch.equal(label, (resampled.round() % 2).to(torch.uint8))
