"""The ranking in which teams without a significant difference share a place."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, wilcoxon

from common.evaluation.significance import holm, rank_by_significance


def noisy(means, cases=12, columns=2, seed=0, noise=0.02):
    """(T, N, M) scores around the teams' means, all different."""
    rng = np.random.RandomState(seed)
    return np.asarray(means)[:, None, None] + noise * rng.standard_normal((len(means), cases, columns))


def places(scores, **options):
    return rank_by_significance(scores, **options).ranking.place.tolist()


def test_equal_teams_share_a_place_and_the_better_one_is_alone():
    scores = noisy([0.8, 0.8, 0.5])
    scores[1] = scores[0]
    found = rank_by_significance(scores)
    assert found.p[0, 1].tolist() == found.p[1, 0].tolist() == [1, 1]
    assert found.wins.tolist() == [[1, 1], [1, 1], [0, 0]]
    assert found.ranking.place.tolist() == [1, 1, 3]
    assert places(scores, ties="average") == [1.5, 1.5, 3]


def test_a_difference_that_chance_explains_is_none():
    """The plain ranking separates these two, the tests do not."""
    scores = noisy([0.6, 0.6], cases=30, columns=1, seed=3, noise=0.2)
    assert abs(scores.mean(axis=1)[0] - scores.mean(axis=1)[1]) > 0.01
    found = rank_by_significance(scores)
    assert not found.better.any()
    assert found.ranking.place.tolist() == [1, 1]


@pytest.mark.parametrize(("teams", "needed"), [(2, 6), (3, 7)])
def test_the_fewest_cases_that_can_decide(teams, needed):
    """Always better by the same, so that all differences are tied: p is T (T - 1) / 2^N exactly."""
    for cases in (1, 2, needed - 1, needed):
        scores = np.tile(np.linspace(0.9, 0.1, teams)[:, None, None], (1, cases, 1))
        found = rank_by_significance(scores)
        assert found.p[0, -1, 0] == pytest.approx(min(1, teams * (teams - 1) / 2**cases))
        assert found.better.any() == (cases == needed)
        assert (found.ranking.place == 1).all() == (cases < needed)


def test_p_values_are_those_of_single_tests_with_holms_correction():
    scores = noisy([0.60, 0.61, 0.63, 0.55], cases=15, columns=3)
    found = rank_by_significance(scores)
    for column in range(3):
        pairs = [(a, b) for a in range(4) for b in range(4) if a != b]
        single = [
            wilcoxon(scores[a, :, column], scores[b, :, column], alternative="greater").pvalue
            for a, b in pairs
        ]
        corrected = dict(zip(pairs, holm(np.array(single)), strict=True))
        for pair, p in corrected.items():
            assert found.p[(*pair, column)] == pytest.approx(p, rel=1e-9)
    assert (found.better == (found.p <= 0.05)).all()
    assert (found.wins == found.better.sum(axis=1)).all()


def test_above_fifty_cases_the_normal_distribution():
    scores = np.round(noisy([0.6, 0.6], cases=80, columns=1, seed=1, noise=0.2), 1)  # with zeros and ties
    difference = scores[0, :, 0] - scores[1, :, 0]
    difference = np.round(difference[np.abs(difference) > 1e-9], 9)
    assert 50 < len(difference) < 80
    single = [
        wilcoxon(d, alternative="greater", method="asymptotic").pvalue for d in (difference, -difference)
    ]
    p = rank_by_significance(scores).p[:, :, 0]
    assert [p[0, 1], p[1, 0]] == pytest.approx(holm(np.array(single)).tolist())


def test_equal_cases_are_left_out():
    scores = np.full((2, 20, 1), 0.5)
    scores[0, :7, 0] += 0.01 * np.arange(1, 8)
    assert rank_by_significance(scores).p[0, 1, 0] == pytest.approx(2 / 2**7)
    noise = scores.copy()
    noise[0, 7:, 0] = 0.1 + 0.2 + 0.2  # 0.5 on paper, not in floating point
    noise[1, 7:, 0] = 0.5
    assert rank_by_significance(noise).p[0, 1, 0] == pytest.approx(2 / 2**7)


def test_the_order_of_teams_and_columns_does_not_matter():
    scores = np.round(noisy([0.6, 0.62, 0.7, 0.62, 0.4], cases=14, columns=4, noise=0.05), 2)
    whole = rank_by_significance(scores)
    assert whole.better.any()
    order = np.array([3, 0, 4, 2, 1])
    turned = rank_by_significance(scores[order][:, :, ::-1])
    assert turned.ranking.place.tolist() == whole.ranking.place[order].tolist()
    np.testing.assert_array_equal(turned.wins, whole.wins[order][:, ::-1])


def test_ranks_of_columns_are_averaged():
    """One team wins the first column, the other one the second and third."""
    scores = np.tile(np.array([[0.9, 0.1, 0.1], [0.1, 0.9, 0.9]])[:, None, :], (1, 8, 1))
    ranking = rank_by_significance(scores).ranking
    assert ranking.ranks.tolist() == [[1, 2, 2], [2, 1, 1]]
    assert ranking.mean_rank == pytest.approx([5 / 3, 4 / 3])
    assert ranking.normalised == pytest.approx([5 / 6, 4 / 6])
    assert ranking.place.tolist() == [2, 1]
    assert ranking.order == [1, 0]
    assert ranking.averages == pytest.approx(scores[:, 0])


def test_distances_are_better_when_smaller():
    scores = np.tile(np.array([5.0, 9.0])[:, None, None], (1, 8, 1))
    assert places(scores, higher_is_better=[False]) == [1, 2]
    assert places(scores) == [2, 1]


def test_one_team_equal_teams_and_what_cannot_be_ranked():
    assert places(noisy([0.5])) == [1]
    assert places(np.ones((3, 9, 2))) == [1, 1, 1]
    assert places(np.ones((3, 9, 2)), ties="average") == [2, 2, 2]
    assert places(noisy([0.9, 0.1], cases=2)) == [1, 1]
    with pytest.raises(ValueError, match="1 scores are NaN"):
        rank_by_significance(np.array([[[np.nan]], [[1.0]]]))
    for alpha in (0, 1, float("nan")):
        with pytest.raises(ValueError, match="need a level between 0 and 1"):
            rank_by_significance(noisy([0.5]), alpha=alpha)


def test_false_alarms_are_rare():
    """Among teams of one kind, a column has a significant pair in no more than a share alpha of trials."""
    trials = 400
    scores = np.random.RandomState(5).random_sample((4, 12, trials))
    alarms = int(rank_by_significance(scores).better.any(axis=(0, 1)).sum())
    assert alarms <= binom.ppf(0.999, trials, 0.05)


def test_holm_by_hand():
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.5, 0.9])) == pytest.approx([1, 1])
    assert holm(np.array([0.02, 0.02])) == pytest.approx([0.04, 0.04])
    assert holm(np.array([])).shape == (0,)
