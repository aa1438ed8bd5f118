"""Window inference over probabilities: exact for a one-voxel network; mirroring; memory."""

from __future__ import annotations

import pytest
import torch

from common.inference.sliding_window import ProbabilityWindowInferer, mirrored_probabilities


def pointwise(x: torch.Tensor) -> torch.Tensor:
    return torch.cat([x, -x, 2 * x], dim=1)


def lopsided(x: torch.Tensor) -> torch.Tensor:
    """Not symmetric under any flip."""
    ramp = sum(torch.arange(n).view([-1] + [1] * (2 - i)) * 0.1 * (i + 1) for i, n in enumerate(x.shape[2:]))
    return torch.cat([x * ramp, x + ramp], dim=1)


def test_windows_give_the_probabilities_of_the_whole():
    x = torch.randn(1, 1, 9, 13, 10)
    inferer = ProbabilityWindowInferer([4, 6, 6], sw_batch_size=2, overlap=0.5, mode="gaussian")
    probabilities = inferer(x, pointwise)
    torch.testing.assert_close(probabilities, pointwise(x).softmax(1), rtol=1e-4, atol=1e-5)


def test_an_image_smaller_than_the_window_keeps_its_size():
    x = torch.randn(1, 1, 3, 5, 4)
    assert ProbabilityWindowInferer([8, 8, 8], sw_batch_size=1)(x, pointwise).shape == (1, 3, 3, 5, 4)


@pytest.mark.parametrize("axes", [(), (0,), (1, 2), (0, 1, 2)])
def test_mirroring_averages_all_flips(axes):
    x = torch.randn(2, 1, 3, 4, 5)
    expected, count = torch.zeros(2, 2, 3, 4, 5), 0
    for bits in range(8):
        chosen = [a for a in range(3) if bits >> a & 1]
        if set(chosen) <= set(axes):
            dims = [a + 2 for a in chosen]
            expected += lopsided(x.flip(dims)).softmax(1).flip(dims)
            count += 1
    assert count == 2 ** len(axes)
    torch.testing.assert_close(mirrored_probabilities(lopsided, x, axes), expected / count)


def test_regions_that_may_overlap():
    """Sigmoid instead of softmax, with and without mirroring; the windows use it too."""
    x = torch.randn(1, 1, 3, 4, 5)
    both = (lopsided(x).sigmoid() + lopsided(x.flip(2)).sigmoid().flip(2)) / 2
    torch.testing.assert_close(mirrored_probabilities(lopsided, x, (0,), sigmoid=True), both)
    windows = ProbabilityWindowInferer([2, 2, 2], sigmoid=True, sw_batch_size=2)
    torch.testing.assert_close(windows(x, pointwise), pointwise(x).sigmoid(), rtol=1e-4, atol=1e-5)


def test_mirrored_result_is_equivariant():
    x = torch.randn(1, 1, 3, 4, 5)
    one = mirrored_probabilities(lopsided, x, (0, 1, 2))
    two = mirrored_probabilities(lopsided, x.flip(3), (0, 1, 2)).flip(3)
    torch.testing.assert_close(one, two)


def test_out_of_memory_halves_the_windows(caplog):
    sizes = []

    def hungry(x: torch.Tensor) -> torch.Tensor:
        sizes.append(x.shape[0])
        if x.shape[0] > 1:
            raise torch.OutOfMemoryError("too many windows")
        return pointwise(x)

    inferer = ProbabilityWindowInferer([4, 4, 4], sw_batch_size=4)
    assert inferer(torch.randn(1, 1, 8, 8, 8), hungry).shape == (1, 3, 8, 8, 8)
    assert sizes[:3] == [4, 2, 1]
    assert "1 windows at once" in caplog.text


def test_out_of_memory_with_one_window_is_an_error():
    def full(_: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("full")

    with pytest.raises(torch.OutOfMemoryError):
        ProbabilityWindowInferer([4, 4, 4], sw_batch_size=2)(torch.randn(1, 1, 8, 8, 8), full)
