"""Windows of the semi-supervised benchmarks: their starts and their average."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from common.errors import InputError
from common.inference.uniform_window import UniformWindowInferer, window_starts


def network(x: Tensor) -> Tensor:
    """Depends on the position within the window, so that every window's start shows in the average."""
    ramp = torch.linspace(0, 1, x[0, 0].numel()).reshape(x.shape[2:])
    return torch.cat([x * ramp, x + ramp * ramp], dim=1)


def direct(x: Tensor, patch: list[int], stride: list[int]) -> Tensor:
    """The published loop: pad, add up windows and counts, divide, cut back."""
    size = x.shape[2:]
    pads = [
        (max(p - n, 0) // 2, max(p - n, 0) - max(p - n, 0) // 2) for p, n in zip(patch, size, strict=True)
    ]
    padded = functional.pad(x, [n for pair in reversed(pads) for n in pair])
    total = torch.zeros(x.shape[0], 2, *padded.shape[2:])
    count = torch.zeros_like(total)
    steps = [math.ceil((n - p) / s) + 1 for n, p, s in zip(padded.shape[2:], patch, stride, strict=True)]
    for index in itertools.product(*map(range, steps)):
        starts = [
            min(s * i, n - p) for i, s, n, p in zip(index, stride, padded.shape[2:], patch, strict=True)
        ]
        box = (..., *(slice(a, a + p) for a, p in zip(starts, patch, strict=True)))
        total[box] += network(padded[box]).softmax(dim=1)
        count[box] += 1
    mean = total / count
    return mean[(..., *(slice(a, a + n) for (a, _), n in zip(pads, x.shape[2:], strict=True)))]


@pytest.mark.parametrize(
    ("shape", "patch", "stride"),
    [
        ((13, 11, 9), [6, 6, 4], [2, 3, 1]),
        ((13, 11, 9), [7, 5, 9], [7, 1, 9]),  # strides as large as the patch
        ((6, 11, 8), [6, 6, 4], [5, 4, 3]),  # one side equals the patch's
        ((5, 11, 3), [8, 6, 8], [3, 2, 3]),  # two sides are smaller
        ((3, 4, 5), [6, 6, 6], [2, 2, 2]),  # all are
        ((17, 12), [6, 5], [4, 2]),
    ],
)
def test_equal_to_the_direct_loop(shape, patch, stride):
    x = torch.randn(2, 1, *shape, generator=torch.Generator().manual_seed(0))
    result = UniformWindowInferer(patch, stride, sw_batch_size=3)(x, network)
    torch.testing.assert_close(result, direct(x, patch, stride), rtol=0, atol=1e-6)


@pytest.mark.parametrize("side", [193, 142, 88, 112, 113, 129, 130, 131])
@pytest.mark.parametrize(("patch", "stride"), [(112, 18), (80, 4), (96, 16), (112, 112)])
def test_starts(side, patch, stride):
    starts = window_starts(side, patch, stride)
    room = max(side - patch, 0)
    assert starts == [min(stride * i, room) for i in range(math.ceil(room / stride) + 1)]
    assert starts[-1] == room
    assert len(set(starts)) == len(starts)


def test_windows_of_a_scan_of_the_benchmark():
    """(193, 142, 88) with 112x112x80 and 18/18/4: 6 x 3 x 3 windows."""
    seen = []

    def count(x: Tensor) -> Tensor:
        seen.append(x[:, 0, 0, 0, 0])
        return x.new_zeros(len(x), 2, *x.shape[2:])

    voxels = torch.arange(193 * 142 * 88, dtype=torch.float64).reshape(1, 1, 193, 142, 88)
    UniformWindowInferer([112, 112, 80], [18, 18, 4], sw_batch_size=1)(voxels, count)
    corners = torch.cat(seen).long()
    places = torch.stack([corners // (142 * 88), corners // 88 % 142, corners % 88], dim=1)
    found = {tuple(place) for place in places.tolist()}
    expected = itertools.product((0, 18, 36, 54, 72, 81), (0, 18, 30), (0, 4, 8))
    assert len(corners) == 54
    assert found == set(expected)


@pytest.mark.parametrize("patch", [3, 7, 49, 80, 96, 112, 160])
def test_every_stride_is_exact(patch):
    """No stride is lost to the rounding of an overlap."""
    for stride in range(1, patch + 1):
        inferer = UniformWindowInferer([patch], [stride])
        assert int(patch * (1 - inferer.overlap[0])) == stride


@pytest.mark.parametrize("stride", [[2, 2], [0, 2, 2], [2, 2, 9], [2, 2, 1.5]])
def test_impossible_strides(stride):
    with pytest.raises(InputError, match="stride"):
        UniformWindowInferer([4, 4, 4], stride)
