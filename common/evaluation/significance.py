"""A ranking in which teams without a significant difference share a place.

In every column each team is compared with each other one over the cases, by a one-sided Wilcoxon signed-rank
test; the T (T - 1) p-values of a column are corrected together by Holm's rule.  A team's score in a column is
the number of teams that it is significantly better than.  Teams with equal scores share a rank, the mean of a
team's ranks over the columns decides, and teams with equal means share a place: the lowest that they cover.

Cases in which two teams are equal say nothing about the two and are left out; equal differences share the
mean of their ranks.  Up to 50 other cases the distribution is the exact one (without ties, which is wider
than the one with them), above it the normal one.  With N cases no corrected p-value is below T (T - 1) / 2^N:
two teams need six cases, three need seven, before one can be better than another at the level 0.05.

Sources: Wiesenfarth et al., Methods and open-source toolkit for analyzing and visualizing challenge results,
Scientific Reports 2021; Holm, Scandinavian Journal of Statistics 1979.
Axes: T teams, N cases, M columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import wilcoxon

from common.evaluation.ranking import Ranking, rank_teams

__all__ = ["Significance", "holm", "rank_by_significance"]

_MOST_EXACT = 50  # cases


@dataclass(frozen=True)
class Significance:
    """The outcome.

    Attributes:
        p: (T, T, M) corrected p-value of row team better than column team; 1 on the diagonal.
        better: (T, T, M) bool, whether that is significant.
        wins: (T, M) number of teams that a team is significantly better than.
        ranking: of the teams, by their wins; its ``averages`` are those of the scores.
    """

    p: np.ndarray
    better: np.ndarray
    wins: np.ndarray
    ranking: Ranking


def rank_by_significance(
    scores: np.ndarray,
    *,
    higher_is_better: bool | Sequence[bool] = True,
    alpha: float = 0.05,
    ties: str = "min",
    decimals: int = 12,
) -> Significance:
    """Rank teams by how many others they are significantly better than.

    Args:
        scores: (T, N, M), without NaN.
        higher_is_better: one value for all columns, or one for each.
        alpha: level of the tests, 0 to 1, after the correction.
        ties: what equal teams share, the lowest (``min``) or the ``average`` of the ranks that they cover.
        decimals: scores and their differences are rounded to this many decimals, so that what is equal on
            paper is equal.

    Raises:
        ValueError: no teams, cases or columns, NaN, or a level outside 0 to 1.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"ranking: alpha {alpha}; need a level between 0 and 1")
    ordinary = rank_teams(scores, higher_is_better=higher_is_better, ties=ties)  # also checks the scores
    scores = np.asarray(scores, dtype=np.float64)
    teams, _, columns = scores.shape
    signed = np.round(np.where(np.broadcast_to(higher_is_better, columns), 1.0, -1.0) * scores, decimals)
    p = _better(np.round(signed[:, None] - signed[None, :], decimals))
    others = ~np.eye(teams, dtype=bool)
    for column in range(columns):
        p[others, column] = holm(p[others, column])
    better = p <= alpha
    wins = better.sum(axis=1)
    ranking = rank_teams(wins[:, None, :], ties=ties)
    return Significance(p, better, wins, replace(ranking, averages=ordinary.averages))


def _better(differences: np.ndarray) -> np.ndarray:
    """One-sided p-values (T, T, M) of differences (T, T, N, M) that tend to be above 0; 1 where all are 0."""
    over_cases = np.moveaxis(differences, 2, 0)  # (N, T, T, M)
    unequal = np.count_nonzero(over_cases, axis=0)
    p = np.ones(unequal.shape)
    exact = (unequal > 0) & (unequal <= _MOST_EXACT)
    for chosen, method in ((exact, "exact"), (unequal > _MOST_EXACT, "asymptotic")):
        if chosen.any():
            found = wilcoxon(over_cases[:, chosen], alternative="greater", method=method, axis=0)
            p[chosen] = found.pvalue
    return p


def holm(p: np.ndarray) -> np.ndarray:
    """P-values (K,) of one family corrected by Holm's rule, at most 1, in their own order."""
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(steps, 1.0)
    return corrected
