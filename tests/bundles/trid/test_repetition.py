"""The prostate's repeated list: how long an epoch is, and what is drawn in it."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch.utils.data import DataLoader

import common  # noqa: F401 (makes bundles importable)
from trid.repetition import RepeatedSampler, repeated_length


@pytest.mark.parametrize(
    ("slices", "passes", "iterations"),
    [(1000, 2, 250), (1003, 2, 251), (1500, 2, 375), (1999, 2, 500), (2000, 1, 250), (2008, 1, 251)],
)
def test_iterations_of_the_card(slices, passes, iterations):
    """ceil(n s / 8) with s = ceil(250 / floor(n / 8)): at least 250, and the last batch need not be full."""
    length = repeated_length(slices, 8, 250)
    assert length == slices * passes
    loader = DataLoader(range(slices), batch_size=8, sampler=RepeatedSampler(range(slices), length))
    assert len(loader) == iterations >= 250
    sizes = [len(batch) for batch in loader]
    assert (len(sizes), sum(sizes)) == (iterations, length)


def test_an_epoch_of_no_least_length_is_one_pass():
    assert repeated_length(131, 8, 0) == 131
    assert repeated_length(3, 8, 0) == 3


def test_each_slice_as_often_as_the_list_is_repeated_and_the_passes_are_mixed():
    torch.manual_seed(0)
    drawn = list(RepeatedSampler(range(50), 100))
    assert set(Counter(drawn).values()) == {2}
    assert len(set(drawn[:50])) < 50, "a slice may come twice before another has come once"
    assert drawn != list(RepeatedSampler(range(50), 100))


@pytest.mark.parametrize("wanted", [7, 50, 60, 130])
def test_other_lengths(wanted):
    """As many as asked for, no slice more than once more than another."""
    drawn = Counter(RepeatedSampler(range(50), wanted))
    assert sum(drawn.values()) == wanted
    assert max(drawn.values()) - min(drawn.get(i, 0) for i in range(50)) <= 1
