"""Rankings: worked by hand, with ties, and their stability when cases are resampled."""

from __future__ import annotations

import numpy as np
import pytest

from common.evaluation.ranking import bootstrap_ranking, rank_teams


def from_averages(averages, cases=4):
    """(T, N, M) scores whose averages are these."""
    spread = np.linspace(-0.01, 0.01, cases)[None, :, None]
    return np.asarray(averages, float)[:, None, :] + spread


def test_by_hand():
    ranking = rank_teams(from_averages([[0.9, 0.5, 0.7], [0.8, 0.6, 0.8], [0.7, 0.4, 0.9]]))
    assert ranking.ranks.tolist() == [[1, 2, 3], [2, 1, 2], [3, 3, 1]]
    assert ranking.mean_rank == pytest.approx([2, 5 / 3, 7 / 3])
    assert ranking.place.tolist() == [2, 1, 3]
    assert ranking.order == [1, 0, 2]


def test_equal_values_share_the_average_rank():
    ranking = rank_teams(from_averages([[0.9], [0.8], [0.9], [0.9]]))
    assert ranking.ranks[:, 0].tolist() == [2, 4, 2, 2]
    assert ranking.place.tolist() == [2, 4, 2, 2]
    assert ranking.order == [0, 2, 3, 1]


def test_sums_in_another_order_are_equal():
    values = np.array([0.1, 0.2, 0.3, 0.7])
    scores = np.stack([values, values[::-1]])[:, :, None]
    assert rank_teams(scores).ranks[:, 0].tolist() == [1.5, 1.5]


def test_tie_break():
    scores = from_averages([[0.9, 0.4], [0.8, 0.5], [0.1, 0.1]])
    assert rank_teams(scores).place.tolist() == [1.5, 1.5, 3]
    assert rank_teams(scores, tie_break=1).place.tolist() == [2, 1, 3]
    assert rank_teams(scores, tie_break=0).place.tolist() == [1, 2, 3]
    same = from_averages([[0.9, 0.4], [0.9, 0.4], [0.1, 0.1]])
    assert rank_teams(same, tie_break=1).place.tolist() == [1.5, 1.5, 3]


def test_the_lowest_rank_of_a_tie():
    scores = from_averages([[0.9, 0.4], [0.8, 0.5], [0.8, 0.1], [0.1, 0.4]])
    ranking = rank_teams(scores, ties="min")
    assert ranking.ranks.tolist() == [[1, 2], [2, 1], [2, 4], [4, 2]]
    assert ranking.mean_rank.tolist() == [1.5, 1.5, 3, 3]
    assert ranking.place.tolist() == [1, 1, 3, 3]
    assert rank_teams(scores, ties="min", tie_break=1).place.tolist() == [2, 1, 4, 3]
    drawn = bootstrap_ranking(from_averages([[0.9], [0.9], [0.5]]), draws=3, ties="min")
    assert (drawn.places == [1, 1, 3]).all()
    assert drawn.frequency.tolist() == [[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1]]


def test_groups_of_metrics_are_ranked_by_their_mean():
    """Metric by metric the second team is ahead in two of three; by their mean the first is."""
    scores = from_averages([[0.9, 0.5, 0.5, 0.4], [0.5, 0.6, 0.6, 0.3]])
    assert rank_teams(scores).place.tolist() == [1.5, 1.5]
    ranking = rank_teams(scores, groups=[(0, 1, 2), (3,)])
    assert ranking.ranks.tolist() == [[1, 1], [2, 2]]
    assert ranking.averages.shape == (2, 4)
    assert rank_teams(scores, groups=[(1, 2)], higher_is_better=False).place.tolist() == [1, 2]
    even = from_averages([[0.1, 0.2, 0.6], [0.3, 0.3, 0.3]])  # sums in floating point differ in the last bit
    assert rank_teams(even, groups=[(0, 1, 2)]).place.tolist() == [1.5, 1.5]
    assert rank_teams(even, groups=[(0, 1, 2)], tie_break=2).place.tolist() == [1, 2]


def test_distances_are_better_when_smaller():
    scores = from_averages([[0.9, 5.0], [0.8, 9.0]])
    assert rank_teams(scores, higher_is_better=[True, False]).place.tolist() == [1, 2]
    assert rank_teams(scores, higher_is_better=[True, False]).ranks.tolist() == [[1, 1], [2, 2]]


def test_what_cannot_be_ranked():
    with pytest.raises(ValueError, match="1 scores are NaN"):
        rank_teams(np.array([[[np.nan]], [[1.0]]]))
    with pytest.raises(ValueError, match=r"\(teams, cases, metrics\)"):
        rank_teams(np.ones((2, 3)))
    with pytest.raises(ValueError, match="need a metric from 0 to 0"):
        rank_teams(np.ones((2, 3, 1)), tie_break=1)
    with pytest.raises(ValueError, match="need at least 1"):
        bootstrap_ranking(np.ones((2, 3, 1)), draws=0)


def test_bootstrap_of_a_clear_order():
    rng = np.random.RandomState(0)
    scores = np.array([0.9, 0.3, 0.6])[:, None, None] + 0.02 * rng.standard_normal((3, 20, 2))
    drawn = bootstrap_ranking(scores, draws=50)
    assert (drawn.places == [1, 3, 2]).all()
    assert drawn.frequency.tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0]]
    assert drawn.interval.tolist() == [[1, 1], [3, 3], [2, 2]]
    assert drawn.agreement.tolist() == pytest.approx([1.0] * 50)


def test_bootstrap_of_an_open_order():
    rng = np.random.RandomState(1)
    scores = 0.5 + 0.2 * rng.standard_normal((4, 12, 3))
    drawn, again = (bootstrap_ranking(scores, draws=200, seed=3) for _ in range(2))
    assert (drawn.places == again.places).all()
    assert drawn.frequency.sum(axis=0) == pytest.approx(np.ones(4))
    assert drawn.frequency.sum(axis=1) == pytest.approx(np.ones(4))
    assert (drawn.frequency < 1).all()
    expected = drawn.frequency @ np.arange(1, 5)
    assert drawn.places.mean(axis=0) == pytest.approx(expected)
    assert drawn.agreement.min() < 0.5


def test_bootstrap_when_all_are_equal():
    drawn = bootstrap_ranking(np.ones((3, 5, 2)), draws=4)
    assert (drawn.places == 2).all()
    assert drawn.frequency == pytest.approx(np.full((3, 3), 1 / 3))
    assert np.isnan(drawn.agreement).all()
