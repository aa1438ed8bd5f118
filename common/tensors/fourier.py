"""Amplitude and phase of images, and the window of low frequencies around the centre.

Centred means that the zero frequency of an axis of n pixels lies at n // 2.  The window of s frequencies
begins at (n - s) // 2, as published: with n even and s odd it reaches one frequency further down than up
(n = 512, s = 5: -3..1), so a change in it alone leaves the spectrum of no real image.

Axes: B batch, C channels, (H, W), or any other axes before (H, W).
Source: vptta/docs/method.md#low-frequency-prompt.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = [
    "amplitude_and_phase",
    "from_amplitude_and_phase",
    "low_frequency_window",
    "window_frequencies",
    "window_side",
]


def window_side(size: int, share: float) -> int:
    """Frequencies along one axis of the window: a share (0..1) of the image's ``size``, at least one.

    Raises:
        ValueError: the window would be larger than the image, or empty.
    """
    if size < 1 or not 0 <= share <= 1:
        raise ValueError(f"window_side: size={size}, share={share}; expected size >= 1, share in 0..1")
    return max(1, int(size * share))


def window_frequencies(length: int, side: int) -> range:
    """The frequencies, in cycles per image side, of a window of ``side`` on an axis of ``length`` pixels.

    Raises:
        ValueError: the window does not fit.
    """
    if not 1 <= side <= length:
        raise ValueError(f"low-frequency window: side={side} on an axis of {length}; expected 1..{length}")
    first = (length - side) // 2 - length // 2
    return range(first, first + side)


def amplitude_and_phase(image: Tensor) -> tuple[Tensor, Tensor]:
    """(..., H, W), real, to amplitude and phase (radians) of its spectrum, both (..., H, W) and centred."""
    spectrum = torch.fft.fftshift(torch.fft.fft2(image), dim=(-2, -1))
    return spectrum.abs(), spectrum.angle()


def from_amplitude_and_phase(amplitude: Tensor, phase: Tensor) -> Tensor:
    """Centred amplitude and phase to the image, (..., H, W): its real part, if it is complex."""
    # Not torch.polar: its gradient takes a negative amplitude, which a prompt may cause, for a positive one.
    spectrum = amplitude * torch.complex(phase.cos(), phase.sin())
    return torch.fft.ifft2(torch.fft.ifftshift(spectrum, dim=(-2, -1))).real


def low_frequency_window(centred: Tensor, side: int) -> Tensor:
    """The view (..., s, s) of the lowest frequencies in a centred spectrum (..., H, W).

    Raises:
        ValueError: the window does not fit.
    """
    rows, columns = (
        slice(n // 2 + f.start, n // 2 + f.stop)
        for n, f in ((n, window_frequencies(n, side)) for n in centred.shape[-2:])
    )
    return centred[..., rows, columns]
