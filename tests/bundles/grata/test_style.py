"""GraTa's strong styles: grata/docs/method.md#strong-style-augmentation, then computed without a further
draw."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

import common  # noqa: F401 (makes bundles importable)
from grata.style import Style, StyleDraw, min_max, restyle


@pytest.fixture
def image():
    return torch.rand(1, 3, 40, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def drawn(n=2000, seed=0):
    draw = StyleDraw(torch.Generator().manual_seed(seed))
    return [draw((3, 4, 4)) for _ in range(n)]


def test_chances_and_ranges_are_the_published_ones():
    styles = drawn()
    share = {
        name: np.mean([getattr(s, name) is not None for s in styles]) for name in Style.__dataclass_fields__
    }
    expected = {"brightness": 0.75, "contrast": 0.75, "gamma": 0.75, "noise": 0.5, "blur": 0.5}
    assert share == pytest.approx(expected, abs=0.04)
    for name, low, high, below_one in (
        ("brightness", 0.5, 1.5, 0.5),
        ("contrast", 0.5, 1.5, 0.5),
        ("gamma", 0.5, 2.0, 0.5),
    ):
        values = np.array([v for s in styles if (of := getattr(s, name)) for v in of])
        assert low <= values.min() < low + 0.02
        assert high - 0.02 < values.max() <= high
        assert np.mean(values < 1) == pytest.approx(below_one, abs=0.04)
    sigmas = [sigma for s in styles if s.blur for sigma in s.blur]
    assert np.mean([sigma is not None for sigma in sigmas]) == pytest.approx(0.5, abs=0.04)
    given = [sigma for sigma in sigmas if sigma is not None]
    assert 0.5 <= min(given) < max(given) <= 1.5
    deviations = [s.noise.std().item() for s in styles if s.noise is not None]
    assert 0.02 < np.mean(deviations) < 0.03


def test_draws_follow_the_seed(image):
    assert drawn(5)[4].gamma == drawn(5)[4].gamma
    assert drawn(5) != drawn(5, seed=1)


def test_nothing_drawn_nothing_changed(image):
    before = image.clone()
    out = restyle(image, Style())
    assert torch.equal(out, before)
    assert out.data_ptr() != image.data_ptr()


def test_the_given_image_stays(image):
    """The augmentation of the authors' code works in place
    (grata/docs/method.md#known-errors-of-the-published-code)."""
    before = image.clone()
    noise = torch.ones(3, 40, 32)
    restyle(image, Style((0.5, 1, 2), (0.5, 1, 1.5), (0.5, 1, 2), noise, (1.0, None, 0.5)))
    assert torch.equal(image, before)


def test_brightness(image):
    out = restyle(image, Style(brightness=(0.5, 1.0, 1.5)))
    torch.testing.assert_close(out, image * torch.tensor([0.5, 1.0, 1.5]).view(1, 3, 1, 1))


def test_contrast_keeps_mean_and_range(image):
    out = restyle(image, Style(contrast=(0.5, 1.0, 1.5)))
    torch.testing.assert_close(out[:, 0].mean(), image[:, 0].mean())
    torch.testing.assert_close(out[:, 0].std(), image[:, 0].std() / 2)
    torch.testing.assert_close(out[:, 1], image[:, 1])
    assert out[:, 2].min() == image[:, 2].min()
    assert out[:, 2].max() == image[:, 2].max()
    assert out[:, 2].std() > image[:, 2].std()


def test_gamma_is_that_of_the_inverted_channel(image):
    out = restyle(image, Style(gamma=(2.0, 1.0, 0.5)))
    for i, exponent in enumerate((2.0, 1.0, 0.5)):
        channel = image[0, i]
        low, high = channel.min(), channel.max()
        expected = high - ((high - channel) / (high - low)) ** exponent * (high - low)
        torch.testing.assert_close(out[0, i], expected, rtol=1e-5, atol=1e-6)


def test_noise_is_added(image):
    noise = torch.randn(3, 40, 32, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(restyle(image, Style(noise=noise)), image + noise)


def test_blur_of_single_channels(image):
    """As SciPy blurs for batchgenerators, up to the border, which is reflected with its outermost row."""
    out = restyle(image, Style(blur=(1.5, None, 0.5)))
    assert torch.equal(out[:, 1], image[:, 1])
    for i, sigma in ((0, 1.5), (2, 0.5)):
        expected = gaussian_filter(image[0, i].numpy(), sigma, truncate=4.0, mode="reflect")
        np.testing.assert_allclose(out[0, i].numpy(), expected, atol=1e-6)


def test_min_max_over_all_channels(image):
    out = min_max(image * 3 - 1)
    assert out.min() == 0
    assert out.max() == pytest.approx(1)
    assert torch.isfinite(min_max(torch.full((1, 3, 4, 4), 0.3))).all()
