"""The random turns, flips and rotations: mcnet_plus/docs/method.md#recipe."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch

from mcnet_plus.slices import turns_by_degrees
from tests.contract.augmentation import check_turns_and_flips, recipe, within


def test_turns_and_flips():
    check_turns_and_flips("mcnet_plus")


def test_slices_of_acdc():
    """A half turned and flipped, a quarter rotated by whole degrees from -20 to 19, a quarter left alone."""
    (step,) = recipe("mcnet_plus", "acdc").get_parsed_content("augmentation")
    step.set_random_state(seed=0)
    image = torch.rand(1, 24, 24, generator=torch.Generator().manual_seed(0))
    turned = {image.rot90(k, (1, 2)).flip(axis).numpy().tobytes() for k in range(4) for axis in (1, 2)}
    kinds: Counter = Counter()
    draws, rotated = 300, set()
    for _ in range(draws):
        result = torch.as_tensor(step({"image": image, "label": image})["image"]).float().contiguous()
        seen = result.numpy().tobytes()
        kinds["turned" if seen in turned else "same" if torch.equal(result, image) else "rotated"] += 1
        rotated |= {seen} - turned
    # A rotation by 0 degrees is one of the forty, and looks like none.
    expected = {"turned": 0.5, "same": 0.25 + 0.25 / 40, "rotated": 0.25 * 39 / 40}
    assert {key: n / draws for key, n in kinds.items()} == pytest.approx(expected, abs=within(0.5, draws))
    assert 25 < len(rotated) <= 40


def test_degrees_of_acdc():
    """Whole ones, from -20 to 19."""
    turns = turns_by_degrees("image", -20, 20)
    assert [math.degrees(t.rotator.angle) for t in turns.transforms] == pytest.approx(range(-20, 20))
    assert set(turns.weights) == {1 / 40}
