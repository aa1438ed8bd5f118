"""The low-frequency prompt in plain PyTorch: an image whose low-frequency amplitudes are multiplied.

    A, phi = amplitude and phase of FFT2(x), centred
    x'     = Re IFFT2(A * M * exp(i phi)),   M = prompt in the window, 1 elsewhere

Axes: B batch, C channels, (H, W), (s, s) the window (common.tensors.fourier).
Source: Chen et al., VPTTA, CVPR 2024, section 3.2 (vptta/docs/method.md#low-frequency-prompt).
"""

from __future__ import annotations

import torch
from torch import Tensor

from common.tensors.fourier import amplitude_and_phase, from_amplitude_and_phase, low_frequency_window

__all__ = ["check", "low_frequency_prompt_reference"]


def check(image: Tensor, prompt: Tensor) -> None:
    """Raises ValueError unless the shapes match; arguments as below."""
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
        Shaped like image; computed in float32 or wider.

    Raises:
        ValueError: the shapes do not match.
    """
    check(image, prompt)
    dtype = torch.promote_types(image.dtype, torch.float32)
    amplitude, phase = amplitude_and_phase(image.to(dtype))
    factors = torch.ones_like(amplitude)
    low_frequency_window(factors, prompt.size(-1)).copy_(prompt.to(dtype).expand(image.size(0), -1, -1, -1))
    return from_amplitude_and_phase(amplitude * factors, phase).to(image.dtype)
