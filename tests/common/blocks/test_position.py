"""The sine position code against its formula, written out for single entries."""

from __future__ import annotations

import math

import pytest
import torch

from common.blocks.position import SinePositionCode3d


def _entry(i: int, n: int, j: int, features: int, shift: float) -> float:
    phase = (i - shift) / (n + 1e-6) * 2 * math.pi
    angle = phase / 10000 ** (3 * (j // 3) / features)
    return math.cos(angle) if j % 2 else math.sin(angle)


@pytest.mark.parametrize(("channels", "shift"), [(384, True), (192, False), (100, True)])
def test_entries_follow_the_formula(channels, shift):
    code = SinePositionCode3d(channels, half_voxel_shift=shift)(torch.zeros(2, 1, 3, 5, 7))
    assert code.shape == (1, channels, 3, 5, 7)
    third = channels // 3
    widths = [third, third, channels - 2 * third]
    for axis, (n, start) in enumerate(zip((3, 5, 7), (0, third, 2 * third), strict=True)):
        for i in (1, n):
            for j in (0, 1, widths[axis] - 1):
                at = [0, 0, 0]
                at[axis] = i - 1
                expected = _entry(i, n, j, widths[axis], 0.5 if shift else 0.0)
                assert math.isclose(float(code[0, start + j, *at]), expected, abs_tol=2e-6)


def test_too_few_channels():
    with pytest.raises(ValueError, match="channels=2"):
        SinePositionCode3d(2)
