"""The low-frequency prompt from the changed frequencies alone, without a transform of the whole image.

    x' = x + Re sum_uv (prompt_uv - 1) F_uv exp(2 pi i (u h / H + v w / W)) / (H W)

gives the same as the two transforms of :mod:`common.kernels.low_frequency_prompt.reference`, which names
the axes.  It has s * s terms: both F and the sum are products of matrices with s columns, one pass over
the image each; if the coefficients are known, half of that is saved.  This form runs on every device.
"""

from __future__ import annotations

import math
import os

import torch
from torch import Tensor

from common.kernels.low_frequency_prompt.reference import check, low_frequency_prompt_reference
from common.tensors.fourier import window_frequencies

__all__ = ["low_frequencies", "low_frequency_prompt", "low_frequency_prompt_reference"]


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
    """As :func:`low_frequency_prompt_reference`, from the changed frequencies alone.

    ``COMMON_KERNELS=eager`` in the environment selects the reference.

    Args:
        image: (B, C, H, W), real.
        prompt: (1, C, s, s) or (B, C, s, s).
        coefficients: what :func:`low_frequencies` returned for this image and s, if known.
    """
    if os.environ.get("COMMON_KERNELS") == "eager":
        return low_frequency_prompt_reference(image, prompt)
    check(image, prompt)
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
    """Cosines, then sines, of the window's frequencies at every pixel of an axis, (n, 2s)."""
    length = x.size(axis)
    frequencies = window_frequencies(length, side)
    pixels = torch.arange(length, device=x.device).unsqueeze(1)
    # Whole turns are removed in integer arithmetic, so that the angle keeps every digit.
    turns = pixels * torch.arange(frequencies.start, frequencies.stop, device=x.device) % length
    angles = turns.to(torch.float64) * (2 * math.pi / length)
    return torch.cat([angles.cos(), angles.sin()], dim=1).to(x.dtype)
