import numpy as np
import pytest
import torch
from scipy.ndimage import affine_transform

from common.transforms.picture_augmentation import Deformation, RandDeformPictured, deform_picture


def blob(height=48, width=64):
    y, x = np.mgrid[0:height, 0:width]
    image = np.exp(-((y - 16) ** 2 + (x - 40) ** 2) / 60) + 0.5 * np.exp(
        -((y - 32) ** 2 + (x - 20) ** 2) / 90
    )
    return torch.from_numpy(image[None]).float() * 255


@pytest.mark.parametrize(("angle", "scale"), [(0.2, None), (None, 0.8), (None, 1.25), (-0.3, 1.1)])
def test_rotation_and_scale_are_those_of_scipy(angle, scale):
    """One resampling about the centre, by cubic splines, up to the border."""
    image = blob()
    done = deform_picture(image, Deformation(angle=angle, scale=scale))[0].numpy()
    a, s = angle or 0.0, scale or 1.0
    matrix = s * np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    centre = (np.array(image.shape[1:]) - 1) / 2
    expected = affine_transform(image[0].numpy(), matrix, offset=centre - matrix @ centre, order=3)
    np.testing.assert_allclose(done, expected, atol=1e-3)


def test_displacement_looks_where_it_points():
    image = blob()
    displacement = np.zeros((2, 48, 64), np.float32)
    displacement[0], displacement[1] = 2, -3
    done = deform_picture(image, Deformation(displacement=displacement))
    torch.testing.assert_close(done[:, :-6, 6:], image[:, 2:-4, 3:-3], atol=1e-2, rtol=0)


def test_label_follows_the_picture_and_keeps_its_values():
    label = (blob() > 60).to(torch.uint8) + (blob() > 160).to(torch.uint8)
    transform = RandDeformPictured(["image", "label"], prob=1.0).set_random_state(3)
    done = transform({"image": 100.0 * label, "label": label})
    assert done["label"].dtype == torch.uint8
    assert set(done["label"].unique().tolist()) <= {0, 1, 2}
    agreement = ((done["image"] / 100).round() == done["label"]).float().mean()
    assert agreement > 0.97
    assert not torch.equal(done["label"], label)


def test_a_label_needs_a_half_of_the_pixel():
    """Moved by a third of a pixel along a border of three classes, one of them a line one pixel wide."""
    label = torch.zeros(1, 6, 9, dtype=torch.uint8)
    label[..., 3], label[..., 4:] = 1, 2
    displacement = np.zeros((2, 6, 9), np.float32)
    displacement[1] = 0.5
    done = deform_picture(label, Deformation(displacement=displacement), is_label=True)
    assert done[0, 0].tolist() == [0, 0, 1, 2, 2, 2, 2, 2, 0], "a tie goes to the higher class"
    displacement[0, :5], displacement[1] = 0.45, 0.45
    corner = torch.zeros(1, 6, 9, dtype=torch.uint8)
    corner[0, 2, 4], corner[0, 2, 5], corner[0, 3, 4], corner[0, 3, 5] = 1, 2, 3, 4
    done = deform_picture(corner, Deformation(displacement=displacement), is_label=True)
    assert done[0, 2, 4] == 0, "no class has a half, though together they have all of it"


def test_corners_that_were_outside_are_background():
    label = torch.full((1, 40, 40), 2, dtype=torch.uint8)
    done = deform_picture(label, Deformation(angle=0.6), is_label=True)
    assert done[0, 0, 0] == 0
    assert done[0, 20, 20] == 2


def test_draws():
    transform = RandDeformPictured("image", prob=1.0)
    transform.set_random_state(0)
    scales, angles = [], []
    for _ in range(200):
        transform.randomize((32, 32))
        scales.append(transform.drawn.scale)
        angles.append(np.rad2deg(transform.drawn.angle))
    assert 0.75 <= min(scales) < 0.85 < 1.15 < max(scales) <= 1.25
    assert 0.35 < np.mean(np.array(scales) < 1) < 0.65
    assert -15 <= min(angles) < -10 < 10 < max(angles) <= 15


def test_probabilities():
    """Each of the three in a tenth of the draws, apart from the others; within 0.02 of 4000."""
    transform = RandDeformPictured("image", prob=0.1).set_random_state(0)
    acted = np.zeros(3)
    for _ in range(4000):
        transform.randomize((4, 4))
        drawn = transform.drawn
        acted += [value is not None for value in (drawn.displacement, drawn.angle, drawn.scale)]
    assert acted / 4000 == pytest.approx([0.1] * 3, abs=0.02)


def test_a_deformation_finer_than_a_pixel_is_one_too():
    transform = RandDeformPictured("image", prob=1.0, smoothness=(0.01, 0.01)).set_random_state(0)
    transform.randomize((64, 64))
    largest = np.abs(transform.drawn.displacement).max(axis=(1, 2))
    assert np.all((largest >= 0.64 / 8) & (largest <= 0.64 / 2))


def test_displacement_is_smooth_and_as_large_as_drawn():
    transform = RandDeformPictured("image", prob=1.0, smoothness=(0.1, 0.1)).set_random_state(0)
    for _ in range(5):
        transform.randomize((64, 64))
        field = transform.drawn.displacement
        sigma = 6.4
        for axis in field:
            assert sigma / 8 <= np.abs(axis).max() <= sigma / 2 + 1e-6
            steps = np.abs(np.diff(axis, axis=0)).max()
            assert steps < 0.3 * np.abs(axis).max()


def test_never_and_alone():
    image = blob()
    never = RandDeformPictured(["image", "label"], prob=0.0, allow_missing_keys=True)
    assert never({"image": image})["image"] is image


def test_elastic_deformation_by_alpha_and_sigma():
    """Its displacement is smoothed noise of [-1, 1] times alpha: of sd alpha / (sqrt(3) 2 sqrt(pi) sigma)."""
    transform = RandDeformPictured(["image"], prob=1.0, alpha=(500, 500), sigma=(8, 8))
    transform.set_random_state(seed=0)
    fields = []
    for _ in range(6):
        transform.randomize((128, 128))
        fields.append(transform.drawn.displacement)
    fields = np.stack(fields)
    assert fields.shape == (6, 2, 128, 128)
    expected = 500 / np.sqrt(3) / (2 * np.sqrt(np.pi) * 8)
    assert fields.std() == pytest.approx(expected, rel=0.2)
    assert np.abs(np.diff(fields, axis=-1)).max() < 0.5 * fields.std(), "smooth"
    rim, middle = fields[..., :2].std(), fields[..., 32:96].std()
    assert rim < 0.85 * middle, "noise is 0 beyond the border"
    still = RandDeformPictured(["image"], prob=1.0, alpha=(0, 0))
    still.set_random_state(seed=0)
    still.randomize((32, 32))
    assert not still.drawn.displacement.any()
