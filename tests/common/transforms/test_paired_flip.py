"""Mirrored images have their left classes on the right."""

from __future__ import annotations

import pytest
import torch

from common.transforms.paired_flip import RandPairedFlipd, swap_channels, swap_values

PAIRS = [(1, 2), (4, 3)]


@pytest.fixture
def case():
    generator = torch.Generator().manual_seed(0)
    label = torch.randint(0, 6, (1, 4, 5, 3), generator=generator)
    masks = torch.nn.functional.one_hot(label[0], 6).movedim(-1, 0)
    return {"image": torch.rand(2, 4, 5, 3, generator=generator), "label": label, "masks": masks}


def flip(prob: float = 1.0) -> RandPairedFlipd:
    return RandPairedFlipd(
        ["image", "label", "masks"], ["label"], PAIRS, axis=1, prob=prob, channel_keys=["masks"]
    )


def test_left_becomes_right(case):
    found = flip()(case)
    assert torch.equal(found["image"], case["image"].flip(2))
    partner = torch.tensor([0, 2, 1, 4, 3, 5])
    assert torch.equal(found["label"], partner[case["label"]].flip(2))
    assert found["label"].dtype == case["label"].dtype
    assert torch.equal(found["masks"].argmax(0), found["label"][0]), "label map and channels stay in step"


def test_twice_is_nothing(case):
    twice = flip()(flip()(case))
    assert all(torch.equal(twice[key], value) for key, value in case.items())


def test_all_or_none_at_the_given_rate(case):
    step = flip(prob=0.3)
    step.set_random_state(seed=0)
    flipped = 0
    for _ in range(400):
        found = step(case)
        changed = {key for key, value in case.items() if not torch.equal(found[key], value)}
        assert changed in (set(), set(case))
        flipped += bool(changed)
    assert flipped / 400 == pytest.approx(0.3, abs=0.09)


def test_channels_may_be_numbered_otherwise():
    masks = torch.arange(3)[:, None, None].expand(3, 1, 2)
    step = RandPairedFlipd(["m"], [], PAIRS, prob=1.0, channel_keys=["m"], channel_pairs=[(0, 2)])
    assert step({"m": masks})["m"][:, 0, 0].tolist() == [2, 1, 0]


def test_a_value_in_two_pairs_is_refused():
    with pytest.raises(ValueError, match="expected each value in one pair"):
        RandPairedFlipd(["image"], [], [(1, 2), (2, 3)])


def test_swaps_leave_their_input_alone():
    label = torch.tensor([1, 2, 4])
    assert swap_values(label, PAIRS).tolist() == [2, 1, 3]
    assert label.tolist() == [1, 2, 4]
    assert swap_channels(label[:, None], [(0, 2)]).flatten().tolist() == [4, 2, 1]
