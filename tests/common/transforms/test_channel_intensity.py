"""Intensity of single channels: what is drawn, beside the rule in a few lines; what is computed from it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from scipy.ndimage import gaussian_filter

from common.transforms.blur import RandChannelBlurd
from common.transforms.channel_intensity import (
    RandChannelContrastd,
    RandChannelGammad,
    RandChannelOffsetd,
    RandChannelScaled,
)
from common.transforms.draws import around_one
from common.transforms.low_resolution import RandLowResolutiond


def image(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(*(shape or (3, 7, 8, 9)), generator=generator)


def drawn(transform, draws=4000) -> list[float]:
    """What was drawn for one channel where the transform always acts."""
    transform.set_random_state(0)
    return [transform.draw() for _ in range(draws)]


@pytest.mark.parametrize(("low", "high"), [(0.7, 1.5), (0.5, 2.0), (0.75, 1.25)])
def test_half_of_the_draws_lie_below_one(low, high):
    """And each half is uniform: four standard errors of 6000 draws."""
    random = np.random.RandomState(1)
    values = np.array([around_one(random.uniform, low, high) for _ in range(6000)])
    below, above = values[values < 1], values[values >= 1]
    assert len(below) / 6000 == pytest.approx(0.5, abs=0.026)
    for part, first, last in ((below, low, 1), (above, 1, high)):
        assert part.min() >= first
        assert part.max() <= last
        width = last - first
        assert part.mean() == pytest.approx((first + last) / 2, abs=4 * width / np.sqrt(12 * len(part)))
        assert part.std() == pytest.approx(width / np.sqrt(12), rel=0.05)


@pytest.mark.parametrize(("low", "high"), [(0.2, 0.4), (1.5, 3.0), (1.0, 1.0)])
def test_a_range_on_one_side_of_one(low, high):
    random = np.random.RandomState(0)
    values = [around_one(random.uniform, low, high) for _ in range(200)]
    assert low <= min(values) <= max(values) <= high


@pytest.mark.parametrize(
    ("transform", "low", "high", "below_one"),
    [
        (RandChannelScaled("image", prob=1, factor=(0.7, 1.5)), 0.7, 1.5, 0.375),
        (RandChannelContrastd("image", prob=1, factor=(0.7, 1.5)), 0.7, 1.5, 0.5),
        (RandChannelGammad("image", prob=1, gamma=(0.7, 1.5)), 0.7, 1.5, 0.5),
        (RandChannelBlurd("image", prob=1, sigma=(0.5, 1.5)), 0.5, 1.5, 0.5),
        (RandLowResolutiond("image", prob=1, zoom=(0.5, 1.0)), 0.5, 1.0, 1.0),
    ],
    ids=["scale, uniform", "contrast", "gamma", "blur", "low resolution"],
)
def test_ranges(transform, low, high, below_one):
    """Within 0.03 of 4000 draws."""
    values = np.array(drawn(transform))
    assert (values.min(), values.max()) == pytest.approx((low, high), abs=0.01)
    assert np.mean(values < 1) == pytest.approx(below_one, abs=0.03)


def test_offsets_are_normal():
    values = np.array(drawn(RandChannelOffsetd("image", prob=1, sd=0.1)))
    assert values.mean() == pytest.approx(0, abs=0.007)
    assert values.std() == pytest.approx(0.1, rel=0.05)
    assert np.mean(np.abs(values) > 0.2) == pytest.approx(0.0455, abs=0.014)


def test_probabilities_nest_and_channels_are_drawn_apart():
    """0.2 in all and then 0.5 each: a channel changes in 0.1 of the draws, two of them together in 0.05."""
    transform = RandChannelGammad("image", prob=0.2, channel_prob=0.5).set_random_state(0)
    first, second, both, equal = 0, 0, 0, 0
    for _ in range(4000):
        transform.randomize(2)
        a, b = (value is not None for value in transform.drawn)
        first, second, both = first + a, second + b, both + (a and b)
        equal += a and b and transform.drawn[0] == transform.drawn[1]
    assert (first / 4000, second / 4000) == pytest.approx((0.1, 0.1), abs=0.02)
    assert both / 4000 == pytest.approx(0.05, abs=0.015)
    assert equal == 0


def test_the_other_channels_the_metadata_and_the_given_image_stay():
    transform = RandChannelGammad("image", prob=1, channel_prob=0.5).set_random_state(3)
    given = MetaTensor(image(4, 6, 6), meta={"filename_or_obj": "a"})
    before = given.clone()
    result = transform({"image": given})["image"]
    same = [torch.equal(a.as_tensor(), b.as_tensor()) for a, b in zip(result, given, strict=True)]
    assert same == [value is None for value in transform.drawn]
    assert set(same) == {True, False}
    assert torch.equal(given.as_tensor(), before.as_tensor())
    assert result.meta["filename_or_obj"] == "a"
    never = RandChannelGammad("image", prob=0)({"image": given})["image"]
    assert never is given


def test_same_seed_same_draws():
    results = [
        RandChannelBlurd("image", prob=0.5, channel_prob=0.5).set_random_state(4)({"image": image()})["image"]
        for _ in range(2)
    ]
    assert torch.equal(*results)


def apply(transform, values: torch.Tensor, number: float) -> np.ndarray:
    return transform.change(values, number).numpy()


def test_factor_and_offset():
    x = image(5, 6)
    np.testing.assert_allclose(apply(RandChannelScaled("i", prob=1), x, 1.2), 1.2 * x.numpy(), rtol=1e-6)
    np.testing.assert_allclose(apply(RandChannelOffsetd("i", prob=1), x, 0.3), x.numpy() + 0.3, rtol=1e-6)


@pytest.mark.parametrize("factor", [0.75, 1.25])
def test_contrast_is_about_the_mean_and_keeps_the_range(factor):
    x = image(9, 10).numpy()
    expected = np.clip((x - x.mean()) * factor + x.mean(), x.min(), x.max())
    result = apply(RandChannelContrastd("i", prob=1), torch.from_numpy(x), factor)
    np.testing.assert_allclose(result, expected, atol=1e-5)


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("retain", [False, True])
def test_gamma(invert, retain):
    x = image(9, 10).numpy().astype(np.float64)
    y = -x if invert else x
    low, high = y.min(), y.max()
    expected = ((y - low) / (high - low)) ** 1.4 * (high - low) + low
    if retain:
        expected = (expected - expected.mean()) / expected.std() * y.std() + y.mean()
    transform = RandChannelGammad("i", prob=1, invert=invert, retain_stats=retain)
    result = apply(transform, torch.from_numpy(x).float(), 1.4)
    np.testing.assert_allclose(result, -expected if invert else expected, atol=1e-5)
    flat = apply(transform, torch.full((3, 3), 2.0), 1.4)
    np.testing.assert_allclose(flat, 2.0, atol=1e-5)


def test_blur_is_one_sigma_for_all_axes_with_a_reflected_border():
    x = image(9, 10, 11)
    result = apply(RandChannelBlurd("i", prob=1), x, 0.8)
    np.testing.assert_allclose(result, gaussian_filter(x.numpy(), [0.8] * 3, mode="reflect"), atol=1e-6)
    flat = apply(RandChannelBlurd("i", prob=1), torch.ones(6, 6), 1.0)
    np.testing.assert_allclose(flat, 1, atol=1e-6, err_msg="zeros beyond the border would darken it")
