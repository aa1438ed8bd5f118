"""The rough masks of the coarse stage: SciPy's morphology, and how often which operation is drawn."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from scipy import ndimage

import common  # noqa: F401 (makes bundles importable)
from kits21.rough_mask import OPERATIONS, RandRoughMaskd, ball, roughen


def blobs(side: int, sigma: float) -> np.ndarray:
    """Blobs that touch the border, with holes."""
    noise = ndimage.gaussian_filter(np.random.RandomState(0).randn(side, side + 2, side + 4), sigma)
    return noise > 0.25 * noise.std()


def rough_by_scipy(mask: np.ndarray, operation: str, element: np.ndarray) -> np.ndarray:
    if operation == "dilation":
        return ndimage.binary_dilation(mask, element)
    if operation == "erosion":
        return ndimage.binary_erosion(mask, element, border_value=1)
    first, then = ("dilation", "erosion") if operation == "closing" else ("erosion", "dilation")
    return rough_by_scipy(rough_by_scipy(mask, first, element), then, element)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("radius", [1.0, 1.3, 1.6, 2.0, 2.7, 5.3, 6.006325564606937])
def test_operations_are_those_of_scipy(operation, radius):
    """Elements of odd and even width, up to the border; the last two are lopsided by rounding."""
    mask = blobs(18, 1.2) if radius < 3 else blobs(40, 5.0)
    expected = rough_by_scipy(mask, operation, ball(radius))
    assert np.array_equal(roughen(mask, operation, ball(radius)), expected)


@pytest.mark.parametrize(("radius", "width", "voxels"), [(1.0, 3, 7), (1.4, 3, 7), (1.5, 4, 8), (2.0, 5, 33)])
def test_balls(radius, width, voxels):
    """scikit-image's at radii that are no whole numbers: int(2 r + 1) voxels wide."""
    assert ball(radius).shape == (width,) * 3
    assert ball(radius).sum() == voxels


def test_draws():
    """In 0.4 of the draws; then every channel in any order, one of the four alike, radius U(1, 8)."""
    step = RandRoughMaskd("m").set_random_state(0)
    acted, first, operations, radii = 0, Counter(), Counter(), []
    for _ in range(4000):
        step.randomize(3)
        acted += bool(step.steps)
        if step.steps:
            first[step.steps[0][0]] += 1
            assert sorted(channel for channel, _, _ in step.steps) == [0, 1, 2]
            operations.update(operation for _, operation, _ in step.steps)
            radii += [radius for _, _, radius in step.steps]
        assert not step.pieces, "the released code never removes anything"
    assert acted / 4000 == pytest.approx(0.4, abs=0.03)
    assert [first[channel] / acted for channel in range(3)] == pytest.approx([1 / 3] * 3, abs=0.05)
    assert [operations[name] / len(radii) for name in OPERATIONS] == pytest.approx([0.25] * 4, abs=0.03)
    assert (min(radii), np.mean(radii), max(radii)) == pytest.approx((1.0, 4.5, 8.0), abs=0.1)


def pieces() -> torch.Tensor:
    """(2, 12, 12, 12): two pieces in the first channel, one in the second."""
    mask = torch.zeros(2, 12, 12, 12, dtype=torch.uint8)
    mask[0, 2:10, 2:5, 2:5] = 1
    mask[0, 2:10, 8:11, 8:11] = 1
    mask[1, 2:10, 2:5, 5:8] = 1
    return mask


def test_channels_stay_apart_and_the_given_mask_stays():
    step = RandRoughMaskd("m", prob=1.0, radius=(1.0, 2.0)).set_random_state(0)
    sizes = set()
    for _ in range(20):
        mask = step({"m": pieces()})["m"]
        assert mask.dtype == torch.uint8
        assert mask.sum(0).max() <= 1
        sizes.add(int(mask[0].sum()))
    assert min(sizes) < 144 < max(sizes)
    given = pieces()
    step({"m": given})
    assert torch.equal(given, pieces())


def test_what_a_channel_gains_the_others_lose():
    step = RandRoughMaskd("m")
    step.steps = [(0, "dilation", 1.0)]
    mask = step._rough(pieces())
    assert mask[0, 5, 3, 5] == 1
    assert mask[1, 5, 3, 5] == 0
    step.steps = [(0, "erosion", 1.0)]
    mask = step._rough(pieces())
    assert mask[:, 5, 3, 4].tolist() == [0, 0], "background"


def test_removal_as_it_was_meant():
    """A piece of every channel in a fifth of the draws, if it is smaller than 15 % of the patch."""
    away = RandRoughMaskd("m", prob=0.0, prob_removal=1.0).set_random_state(0)
    left = [away({"m": pieces()})["m"] for _ in range(12)]
    assert {int(one.sum()) for one in left} == {72}
    assert {int(one[0, 5, 3, 3]) for one in left} == {0, 1}, "either piece may go"
    corners = torch.zeros(1, 6, 6, 6)
    corners[0, 1, 1, 1] = corners[0, 2, 2, 2] = 1
    assert not away({"m": corners})["m"].any(), "voxels that touch at a corner are one piece"
    large = torch.ones(1, 4, 4, 4)
    assert torch.equal(away({"m": large})["m"], large)
    assert not away({"m": torch.zeros(1, 4, 4, 4)})["m"].any()
    sometimes = RandRoughMaskd("m", prob=0.0, prob_removal=0.2).set_random_state(0)
    removed = 0
    for _ in range(4000):
        sometimes.randomize(1)
        removed += bool(sometimes.pieces)
    assert removed / 4000 == pytest.approx(0.2, abs=0.025)


def test_the_same_state_draws_the_same():
    steps = [RandRoughMaskd("m", prob=0.5, prob_removal=0.5).set_random_state(3) for _ in range(2)]
    drawn = [[step({"m": pieces()})["m"].sum().item() for _ in range(10)] for step in steps]
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) > 2
