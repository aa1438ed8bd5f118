"""The low-frequency prompt: an image whose amplitudes in the window of low frequencies are multiplied.

    A, phi = amplitude and phase of FFT2(x), centred
    x'     = Re IFFT2(A * M * exp(i phi)),   M = prompt in the window, 1 elsewhere
           = x + Re sum_uv (prompt_uv - 1) F_uv exp(2 pi i (u h / H + v w / W)) / (H W)

The first line is the definition, two transforms of the whole image.  Of the second, s * s terms, both F and
the sum are products of matrices with s columns: one pass over the image each, and half of it again if the
coefficients are at hand.  That is what runs, on every device.

Axes: B batch, C channels, (H, W), (s, s) the window (common.transforms.fourier).
Source: Chen et al., VPTTA, CVPR 2024, section 3.2 (card vptta, Low-frequency prompt).
"""

from __future__ import annotations

import math
import os

import torch
from torch import Tensor

from common.transforms.fourier import (
    amplitude_and_phase,
    from_amplitude_and_phase,
    low_frequency_window,
    window_frequencies,
)

__all__ = ["low_frequencies", "low_frequency_prompt", "low_frequency_prompt_reference"]


def _check(image: Tensor, prompt: Tensor) -> None:
    side = prompt.size(-1)
    fits = prompt.dim() == 4 and image.dim() == 4 and prompt.size(0) in (1, image.size(0))
    if not fits or list(prompt.shape[1:]) != [image.size(1), side, side] or side > min(image.shape[2:]):
        raise ValueError(
            f"low_frequency_prompt: prompt has shape {list(prompt.shape)}, image {list(image.shape)}; "
            "expected (1 or B, C, s, s) and (B, C, H, W), s no more than H and W"
        )


def low_frequency_prompt_reference(image: Tensor, prompt: Tensor) -> Tensor:
    """The definition.

    Args:
        image: (B, C, H, W), real.
        prompt: (1, C, s, s) or (B, C, s, s), factors of the amplitudes.

    Returns:
        As image; computed in float32 or wider.

    Raises:
        ValueError: sizes do not belong together.
    """
    _check(image, prompt)
    dtype = torch.promote_types(image.dtype, torch.float32)
    amplitude, phase = amplitude_and_phase(image.to(dtype))
    factors = torch.ones_like(amplitude)
    low_frequency_window(factors, prompt.size(-1)).copy_(prompt.to(dtype).expand(image.size(0), -1, -1, -1))
    return from_amplitude_and_phase(amplitude * factors, phase).to(image.dtype)


def low_frequencies(image: Tensor, side: int) -> Tensor:
    """Complex coefficients of the window, (B, C, s, s), without a transform of the whole image.

    Args:
        image: (B, C, H, W), real.
        side: s.

    Raises:
        ValueError: the window does not fit.
    """
    x = image.to(torch.promote_types(image.dtype, torch.float32))
    across = x @ _waves(x, 3, side)  # (B, C, H, 2s)
    along = torch.complex(across[..., :side], -across[..., side:])
    down = _waves(x, 2, side)
    return torch.complex(down[:, :side], -down[:, side:]).T @ along


def low_frequency_prompt(image: Tensor, prompt: Tensor, coefficients: Tensor | None = None) -> Tensor:
    """As :func:`low_frequency_prompt_reference`, by the changed frequencies alone.

    ``COMMON_KERNELS=eager`` in the environment selects the reference.

    Args:
        image: (B, C, H, W), real.
        prompt: (1, C, s, s) or (B, C, s, s).
        coefficients: what :func:`low_frequencies` gave for this image and s, where it is known.
    """
    if os.environ.get("COMMON_KERNELS") == "eager":
        return low_frequency_prompt_reference(image, prompt)
    _check(image, prompt)
    side = prompt.size(-1)
    x = image.to(torch.promote_types(image.dtype, torch.float32))
    if coefficients is None:
        coefficients = low_frequencies(x, side)
    change = (prompt.to(x.dtype) - 1) * coefficients / x[0, 0].numel()
    down = _waves(x, 2, side)
    along = torch.complex(down[:, :side], down[:, side:]) @ change  # (B, C, H, s)
    parts = torch.cat([along.real, -along.imag], dim=3)
    out = torch.baddbmm(
        x.flatten(0, 1), parts.flatten(0, 1), _waves(x, 3, side).T.expand(parts[..., 0, 0].numel(), -1, -1)
    )
    return out.view(x.shape).to(image.dtype)


def _waves(x: Tensor, axis: int, side: int) -> Tensor:
    """Cosines and, behind them, sines of the window's frequencies at every pixel of an axis, (n, 2s)."""
    length = x.size(axis)
    frequencies = window_frequencies(length, side)
    pixels = torch.arange(length, device=x.device).unsqueeze(1)
    # Whole turns are taken off as whole numbers, so that the angle keeps every digit.
    turns = pixels * torch.arange(frequencies.start, frequencies.stop, device=x.device) % length
    angles = turns.to(torch.float64) * (2 * math.pi / length)
    return torch.cat([angles.cos(), angles.sin()], dim=1).to(x.dtype)
