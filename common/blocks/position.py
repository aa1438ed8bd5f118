"""Sine position code of a 3D grid.

Axes: C channels, (D, H, W) depth, height, width.
Source: Vaswani et al. 2017, extended to three axes (cotr/docs/method.md#position-code).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["SinePositionCode3d"]


class SinePositionCode3d(nn.Module):
    """A code of C features for every voxel: a third of them for each axis, depth first.

    For coordinate i = 1..n of an axis the phase is p = 2*pi * (i - shift) / (n + 1e-6), and feature
    j of the axis is sin(p / w_j) for even j, cos(p / w_j) for odd j, with
    w_j = temperature^(3 * floor(j / 3) / F) for the axis' F features.

    Args:
        channels: C; where three does not divide it the last axis gets the remainder.
        half_voxel_shift: shift = 0.5 (cotr); otherwise 0 (transdodnet).
        temperature: base of the frequencies.

    Raises:
        ValueError: fewer than three channels.
    """

    def __init__(self, channels: int, *, half_voxel_shift: bool = True, temperature: float = 10000.0) -> None:
        super().__init__()
        if channels < 3:
            raise ValueError(f"SinePositionCode3d: channels={channels}; every axis needs one, so at least 3")
        third = channels // 3
        self.features = [third, third, channels - 2 * third]
        self.shift = 0.5 if half_voxel_shift else 0.0
        self.temperature = temperature

    def forward(self, x: Tensor) -> Tensor:
        """A map (B, any, D, H, W) to the code of its grid, (1, C, D, H, W) float32, on its device."""
        size = x.shape[2:]
        codes: list[Tensor] = []
        for axis in range(3):
            code = self._axis_code(size[axis], self.features[axis], x.device)  # (F, n)
            view = [1, code.shape[0], 1, 1, 1]
            view[2 + axis] = size[axis]
            codes.append(code.reshape(view).expand(1, -1, size[0], size[1], size[2]))
        return torch.cat(codes, dim=1)

    def _axis_code(self, n: int, features: int, device: torch.device) -> Tensor:
        i = torch.arange(1, n + 1, dtype=torch.float32, device=device)
        phase = (i - self.shift) / (n + 1e-6) * (2 * math.pi)
        j = torch.arange(features, device=device)
        exponent = 3 * torch.div(j, 3, rounding_mode="floor") / features
        angle = phase / torch.pow(torch.tensor(self.temperature, device=device), exponent)[:, None]
        return torch.where((j % 2 == 0)[:, None], torch.sin(angle), torch.cos(angle))
