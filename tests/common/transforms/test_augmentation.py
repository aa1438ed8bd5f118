"""Augmentation: what was drawn decides, identity where nothing was, seeds, shapes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from common.transforms.labels import LabelMapd
from common.transforms.low_resolution import simulate_low_resolution
from common.transforms.spatial import RandRotateScaled, acts_in_plane, rotation_range


def ball(shape=(24, 40, 40), centre=(12, 20, 26), radius=5.0) -> torch.Tensor:
    grid = torch.stack(torch.meshgrid(*(torch.arange(n) for n in shape), indexing="ij")).float()
    distance = (grid - torch.tensor(centre).view(3, 1, 1, 1)).norm(dim=0)
    return (distance < radius).float()[None]


def rotate(**options) -> RandRotateScaled:
    return RandRotateScaled(["image", "label"], patch_size=[16, 32, 32], **options)


def test_the_plan_rule_of_nnunet():
    assert acts_in_plane([48, 192, 192])
    assert not acts_in_plane([64, 192, 192])
    assert rotation_range(True) == [math.pi, 0, 0]
    assert rotation_range(False) == [math.pi / 6] * 3


def test_nothing_drawn_is_the_centre_patch():
    data = {"image": torch.randn(1, 24, 40, 40), "label": ball()}
    result = rotate(prob_rotate=0, prob_scale=0)(data)
    assert torch.equal(result["image"], data["image"][:, 4:20, 4:36, 4:36])
    assert torch.equal(result["label"], data["label"][:, 4:20, 4:36, 4:36])


def test_rotation_moves_image_and_label_together():
    transform = rotate(prob_rotate=1, prob_scale=0, angles=[math.pi, 0, 0], in_plane=True).set_random_state(3)
    result = transform({"image": ball(), "label": ball()})
    assert result["image"].shape == result["label"].shape == (1, 16, 32, 32)
    inside = result["image"] > 0.5
    assert float((inside == (result["label"] > 0)).float().mean()) > 0.999
    assert not torch.equal(result["label"], ball()[:, 4:20, 4:36, 4:36])
    assert set(result["label"].unique().tolist()) == {0.0, 1.0}


def test_rotation_in_the_plane_keeps_slices():
    transform = rotate(prob_rotate=1, prob_scale=1, angles=[math.pi, 0, 0], in_plane=True).set_random_state(0)
    result = transform({"image": ball(), "label": ball()})
    occupied = [d for d in range(16) if result["label"][0, d].any()]
    assert occupied == [d - 4 for d in range(24) if ball()[0, d].any()]


@pytest.mark.parametrize(("factor", "grows"), [(0.7, True), (1.4, False)])
def test_a_scale_above_one_shows_more_of_the_volume(factor, grows):
    transform = rotate(prob_rotate=0, prob_scale=1, scale=(factor, factor))
    centred = ball(centre=(12, 20, 20))
    volume = float(transform({"image": centred, "label": centred})["label"].sum())
    assert volume / float(centred.sum()) == pytest.approx(factor**-3, rel=0.15)
    assert (volume > float(centred.sum())) is grows


def test_half_of_the_scales_lie_below_one():
    """U(0.7, 1) or U(1, 1.4), a coin decides: below 1 in half of the draws, not in 43 %."""
    transform = rotate(prob_rotate=0, prob_scale=1).set_random_state(0)
    factors = []
    for _ in range(4000):
        transform.randomize()
        factors.append(transform.matrix[0, 0])
    below = np.array([f for f in factors if f < 1])
    above = np.array([f for f in factors if f >= 1])
    assert len(below) / 4000 == pytest.approx(0.5, abs=0.03)
    assert (below.min(), below.mean()) == pytest.approx((0.7, 0.85), abs=0.01)
    assert (above.max(), above.mean()) == pytest.approx((1.4, 1.2), abs=0.01)


def test_rotation_and_scale_probabilities():
    """Each in a fifth of the draws, apart from one another; three angles, each uniform to 30 degrees."""
    transform = rotate().set_random_state(0)
    drawn, first = [], []
    for _ in range(4000):
        transform.randomize()
        if transform.matrix is not None:
            scale = float(np.cbrt(np.linalg.det(transform.matrix)))
            turn = transform.matrix / scale
            drawn.append((abs(scale - 1) > 1e-9, not np.allclose(turn, np.eye(3))))
            if drawn[-1][1]:
                first.append(math.degrees(math.asin(turn[0, 2])))  # of Rx Ry Rz: the second angle
    scaled, turned = (sum(column) / 4000 for column in zip(*drawn, strict=True))
    both = sum(a and b for a, b in drawn) / 4000
    assert (scaled, turned, both) == pytest.approx((0.2, 0.2, 0.04), abs=0.025)
    assert (min(first), max(first)) == pytest.approx((-30, 30), abs=1.0)
    assert np.std(first) == pytest.approx(60 / math.sqrt(12), rel=0.05)


@pytest.mark.parametrize("in_plane", [True, False])
def test_one_resampling_by_splines_and_by_shares(in_plane):
    """Beside scipy at every place: cubic, 0 beyond the outermost voxels; labels from a half on."""
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 16, 36, 38, generator=generator)
    label = (image * 3.999).to(torch.uint8)
    transform = rotate(prob_rotate=1, prob_scale=1, in_plane=in_plane, angles=rotation_range(in_plane))
    result = transform.set_random_state(1)({"image": image, "label": label})
    grid = np.stack(np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in (16, 32, 32)), indexing="ij"))
    places = np.einsum("ij,jdhw->idhw", transform.matrix, grid)
    places += np.reshape([(n - 1) / 2 for n in (16, 36, 38)], (3, 1, 1, 1))
    expected = map_coordinates(image[0].numpy(), places, order=3, mode="constant", cval=0)
    np.testing.assert_allclose(result["image"][0], expected, atol=2e-4)
    classes = np.zeros((16, 32, 32))
    for value in range(4):
        share = map_coordinates((label[0].numpy() == value).astype(float), places, order=1, mode="constant")
        classes[share >= 0.5] = value
    assert (result["label"][0].numpy() == classes).mean() > 0.9999
    assert result["label"].dtype == torch.uint8
    assert len(np.unique(classes)) == 4


def test_same_seed_same_draw():
    data = {"image": torch.randn(1, 24, 40, 40), "label": ball()}
    one, two = (rotate(prob_rotate=1, prob_scale=1).set_random_state(5)(data) for _ in range(2))
    assert torch.equal(one["image"], two["image"])


def test_low_resolution_loses_detail_and_keeps_the_shape():
    noise = np.random.RandomState(0).standard_normal((9, 17, 23))
    for in_plane in (False, True):
        low = simulate_low_resolution(noise, 0.5, in_plane=in_plane)
        assert low.shape == noise.shape
        assert not np.allclose(low, noise)
        assert low.min() >= noise.min(), "splines overshoot"
        assert low.max() <= noise.max()
    ramp = np.broadcast_to(np.arange(9.0)[:, None, None], (9, 17, 23))
    assert np.allclose(simulate_low_resolution(ramp, 0.5, in_plane=True), ramp, atol=1e-5)
    assert np.allclose(simulate_low_resolution(noise, 1.0, in_plane=False), noise, atol=1e-5)


def test_low_resolution_goes_down_to_the_nearest_voxel_and_up_by_cubic_splines():
    picture = np.random.RandomState(0).standard_normal((9, 9))
    down = picture[1::2, 1::2]  # 4 voxels, at 0.625, 2.875, 5.125 and 7.375
    at = (np.arange(9) + 0.5) * 4 / 9 - 0.5
    up = map_coordinates(down, np.meshgrid(at, at, indexing="ij"), order=3, mode="nearest")
    expected = np.clip(up, down.min(), down.max())
    assert np.allclose(simulate_low_resolution(picture, 0.45, in_plane=False), expected, atol=1e-6)


def test_label_map_replaces_and_leaves():
    label = torch.tensor([0, 1, 12, 13, 255]).view(1, 1, 1, 5)
    mapped = LabelMapd("label", {"12": 0, 13: 0, 255: 1})({"label": label})["label"]
    assert mapped.ravel().tolist() == [0, 1, 0, 0, 1]
    swapped = LabelMapd("label", {0: 1, 1: 0})({"label": label[..., :2]})["label"]
    assert swapped.ravel().tolist() == [1, 0]
