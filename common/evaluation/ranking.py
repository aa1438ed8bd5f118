"""Rankings of teams as challenges make them: average over cases, then rank, then average the ranks.

Each metric is averaged over the cases; teams are ranked on each metric, or on the means of groups of metrics;
the mean of a team's ranks decides.  Ties share the average or the lowest of the ranks that they cover.
Resampling the cases with replacement shows how much an order depends on which cases there happened to be.

Sources: KiTS21 (Heller et al., arXiv 2307.01984), SegRap2023; bootstrap as Wiesenfarth et al. 2021.
Axes: T teams, N cases, M metrics, G groups of metrics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import kendalltau, rankdata

__all__ = ["Bootstrap", "Ranking", "bootstrap_ranking", "rank_teams"]


@dataclass(frozen=True)
class Ranking:
    """The outcome of a ranking.

    Attributes:
        averages: (T, M) over cases.
        ranks: (T, G) on each group, or (T, M) on each metric, 1 best; equal values share a rank.
        mean_rank: (T,) over those.
        place: (T,) 1 best; teams that remain equal share a place.
    """

    averages: np.ndarray
    ranks: np.ndarray
    mean_rank: np.ndarray
    place: np.ndarray

    @property
    def order(self) -> list[int]:
        """Teams from the best to the last; ties keep the order in which they were given."""
        return np.argsort(self.place, kind="stable").tolist()

    @property
    def normalised(self) -> np.ndarray:
        """(T,) the mean rank as a share of the number of teams, up to 1; comparable between challenges."""
        return self.mean_rank / len(self.mean_rank)


@dataclass(frozen=True)
class Bootstrap:
    """The places when cases are drawn again.

    Attributes:
        places: (R, T) in every draw.
        frequency: (T, T) share of the draws in which a team took a place; shared places count for the
            places that they cover, in equal parts.
        interval: (T, 2) 2.5th and 97.5th percentile of the place.
        agreement: (R,) Kendall's tau-b of each draw's places with those of all cases; NaN where all teams
            share one place.
    """

    places: np.ndarray
    frequency: np.ndarray
    interval: np.ndarray
    agreement: np.ndarray


def rank_teams(
    scores: np.ndarray,
    *,
    higher_is_better: bool | Sequence[bool] = True,
    groups: Sequence[Sequence[int]] | None = None,
    ties: str = "average",
    tie_break: int | None = None,
    decimals: int | None = 12,
) -> Ranking:
    """Rank teams by the mean of their ranks.

    Args:
        scores: (T, N, M), without NaN.
        higher_is_better: one value for all metrics, or one for each.
        groups: numbers of the metrics whose averages are averaged and then ranked; None: each metric alone.
        ties: what equal teams share, the ``average`` or the lowest (``min``) of the ranks that they cover.
        tie_break: the metric whose average decides between teams of equal mean rank; None: they share
            their place.
        decimals: averages are rounded to this many decimals before they are compared, since sums in another
            order differ in the last bit; None: not at all.

    Raises:
        ValueError: no teams, cases or metrics, NaN, or a tie-break that is not a metric.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 3 or not scores.size:
        raise ValueError(f"ranking: scores of shape {scores.shape}; need (teams, cases, metrics), none of 0")
    if np.isnan(scores).any():
        raise ValueError(f"ranking: {int(np.isnan(scores).sum())} scores are NaN; give them a value first")
    metrics = scores.shape[2]
    if tie_break is not None and not 0 <= tie_break < metrics:
        raise ValueError(f"ranking: tie_break {tie_break}; need a metric from 0 to {metrics - 1}")
    sign = np.where(np.broadcast_to(higher_is_better, metrics), -1.0, 1.0)
    averages = scores.mean(axis=1)
    signed = sign * averages
    ranked = signed if groups is None else np.stack([signed[:, list(g)].mean(axis=1) for g in groups], axis=1)
    if decimals is not None:
        signed, ranked = np.round(signed, decimals), np.round(ranked, decimals)
    ranks = rankdata(ranked, method=ties, axis=0)
    mean_rank = ranks.mean(axis=1)
    place = rankdata(np.round(mean_rank, 9), method=ties)
    if tie_break is not None:
        place = _broken(place, signed[:, tie_break], ties)
    return Ranking(averages, ranks, mean_rank, place)


def _broken(place: np.ndarray, by: np.ndarray, ties: str) -> np.ndarray:
    """Places (T,) with ties broken by another number (T,), the smaller the better."""
    result = place.astype(np.float64)
    for value in np.unique(place):
        equal = np.flatnonzero(place == value)
        result[equal] = _first(value, len(equal), ties) - 1 + rankdata(by[equal], method=ties)
    return result


def _first(place: Any, sharing: Any, ties: str) -> Any:
    """The first of the places that a number of teams cover which share one."""
    return place if ties == "min" else place - (sharing - 1) / 2


def bootstrap_ranking(
    scores: np.ndarray,
    *,
    draws: int = 1000,
    seed: int = 0,
    ties: str = "average",
    **rule: Any,
) -> Bootstrap:
    """Rank repeatedly on cases drawn with replacement, the same cases for all teams.

    Args:
        scores: (T, N, M).
        draws: R.
        seed: of the draws.
        ties: as in :func:`rank_teams`.
        **rule: its other options.

    Raises:
        ValueError: as in :func:`rank_teams`, or ``draws`` is below 1.
    """
    if draws < 1:
        raise ValueError(f"ranking: {draws} draws; need at least 1")
    rule["ties"] = ties
    whole = rank_teams(scores, **rule)
    scores = np.asarray(scores, dtype=np.float64)
    random = np.random.default_rng(seed)
    cases = scores.shape[1]
    places = np.stack(
        [rank_teams(scores[:, random.integers(cases, size=cases)], **rule).place for _ in range(draws)]
    )
    lone = len(np.unique(whole.place)) == 1
    agreement = np.array(
        [np.nan if lone or len(np.unique(p)) == 1 else kendalltau(whole.place, p).statistic for p in places]
    )
    return Bootstrap(
        places=places,
        frequency=_frequency(places, ties),
        interval=np.percentile(places, [2.5, 97.5], axis=0).T,
        agreement=agreement,
    )


def _frequency(places: np.ndarray, ties: str) -> np.ndarray:
    draws, teams = places.shape
    # All teams whose value is p share that place; they cover the places around it, or from it on.
    sharing = (places[:, :, None] == places[:, None, :]).sum(axis=2)
    frequency = np.zeros((teams, teams))
    covered = np.arange(1, teams + 1)
    first = _first(places, sharing, ties)
    last = first + sharing - 1
    for draw in range(draws):
        within = (covered >= first[draw][:, None]) & (covered <= last[draw][:, None])
        frequency += within / sharing[draw][:, None]
    return frequency / draws
