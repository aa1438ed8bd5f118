"""The prompt module: what it changes, in which channel, and an image's key."""

from __future__ import annotations

import pytest
import torch

from common.adaptation.prompt import LowFrequencyPrompt
from common.tensors.fourier import amplitude_and_phase, low_frequency_window


@pytest.fixture
def image():
    return torch.rand(1, 3, 64, 48, generator=torch.Generator().manual_seed(0))


def test_starts_from_ones_which_change_nothing(image):
    prompt = LowFrequencyPrompt(5)
    assert sum(p.numel() for p in prompt.parameters()) == 75
    torch.testing.assert_close(prompt(image), image, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("roll", "changed"), [(False, 0), (True, 2)])
def test_factors_of_a_channel(image, roll, changed):
    """As published, factor c multiplies image channel (c - 1) mod 3."""
    prompt = LowFrequencyPrompt(3, channel_roll=roll)
    with torch.no_grad():
        prompt.factors[:, 0] = 2
    difference = (prompt(image) - image).abs().amax(dim=(0, 2, 3))
    assert [i for i, d in enumerate(difference.tolist()) if d > 1e-3] == [changed]


@pytest.mark.parametrize("roll", [False, True])
def test_key_is_the_images_own_amplitude(image, roll):
    prompt = LowFrequencyPrompt(3, channel_roll=roll)
    with torch.no_grad():
        prompt.factors.fill_(3)
    key = prompt.key(prompt.coefficients(image))
    window = low_frequency_window(amplitude_and_phase(image)[0], 3)
    torch.testing.assert_close(key, window.roll(1, 1) if roll else window, rtol=1e-5, atol=1e-4)


def test_known_coefficients_give_the_same(image):
    prompt = LowFrequencyPrompt(3)
    with torch.no_grad():
        prompt.factors.mul_(1.3)
    torch.testing.assert_close(prompt(image, prompt.coefficients(image)), prompt(image))
    assert not prompt.coefficients(image).requires_grad


def test_gradient_reaches_the_factors(image):
    prompt = LowFrequencyPrompt(3)
    (gradient,) = torch.autograd.grad(prompt(image).square().mean(), prompt.factors)
    assert (gradient != 0).all()
