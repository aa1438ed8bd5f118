"""Amplitude, phase and the window of low frequencies."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from common.tensors.fourier import (
    amplitude_and_phase,
    from_amplitude_and_phase,
    low_frequency_window,
    window_frequencies,
    window_side,
)


def test_published_windows():
    """vptta/docs/method.md#low-frequency-prompt: 512 px give 5 frequencies, -3..1; 352 px give 3, -2..0."""
    assert window_side(512, 0.01) == 5
    assert window_side(352, 0.01) == 3
    assert window_side(64, 0.01) == 1
    assert list(window_frequencies(512, 5)) == [-3, -2, -1, 0, 1]
    assert list(window_frequencies(352, 3)) == [-2, -1, 0]
    assert list(window_frequencies(7, 3)) == [-1, 0, 1]
    assert list(window_frequencies(64, 1)) == [-1]


@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (1, 1, 7, 12), (5, 9)], ids=str)
def test_amplitude_and_phase_are_the_image(shape):
    image = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    amplitude, phase = amplitude_and_phase(image)
    torch.testing.assert_close(from_amplitude_and_phase(amplitude, phase), image)


def test_window_holds_the_named_frequencies():
    """A wave of one frequency has its amplitude only at that place in the window."""
    rows, columns = np.mgrid[0:16, 0:20]
    wave = torch.from_numpy(np.exp(2j * np.pi * (-2 * rows / 16 + 1 * columns / 20)))
    centred = torch.fft.fftshift(torch.fft.fft2(wave), dim=(-2, -1)).abs()
    window = low_frequency_window(centred, 5)
    place = (window_frequencies(16, 5).index(-2), window_frequencies(20, 5).index(1))
    assert window[place].item() == pytest.approx(320)
    assert window.sum().item() == pytest.approx(320, rel=1e-6)


def test_window_is_a_view():
    spectrum = torch.zeros(2, 8, 8)
    low_frequency_window(spectrum, 3).fill_(1)
    assert spectrum.sum() == 18


def test_windows_that_do_not_fit():
    with pytest.raises(ValueError, match=r"side=9 on an axis of 8; expected 1\.\.8"):
        low_frequency_window(torch.zeros(8, 8), 9)
    with pytest.raises(ValueError, match="share in 0"):
        window_side(10, 1.5)
