"""From scores to files: tables, the leaderboard, plots.

scores_<team>.csv       the columns of every case, their average in the last row
leaderboard.csv, .txt   places, averages, ranks, and how stable the places are on resampled cases
scores.png              box plots of every team's scores
places.png              with two or more teams: how often each took each place
structures.csv, .txt    if asked for: mean and standard deviation for every structure and team
significance.csv, .png  if asked for: who is significantly better than whom, in how many columns
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from common.evaluation.challenge.columns import Columns
from common.evaluation.challenge.plots import draw_places, draw_scores, draw_significance
from common.evaluation.challenge.scoring import Table
from common.evaluation.challenge.tables import (
    leaderboard_rows,
    missing_lines,
    show_leaderboard,
    significance_rows,
    write_scores,
    write_structures,
)
from common.evaluation.ranking import Bootstrap, bootstrap_ranking, rank_teams
from common.evaluation.significance import Significance, rank_by_significance
from common.evaluation.tables import write_rows
from common.files import write_text

__all__ = ["Report", "rank_and_draw", "score_array", "write_team_scores"]


@dataclass(frozen=True)
class Report:
    """What a challenge's report holds.

    Attributes:
        columns: what was measured.
        rule: options of :func:`common.evaluation.ranking.rank_teams` but for ``higher_is_better``.
        ranked: the rule in words: places go by the mean of the ranks on ...
        draws: number of rankings on resampled cases; 0: none.
        seed: of the resampling.
        structures: write the table of structures.
        alpha: level of the ranking by significance; None: there is none.
        counted: what a case without a prediction counts as, in words.
    """

    columns: Columns
    rule: Mapping[str, Any] = field(default_factory=dict)
    ranked: str = "all columns"
    draws: int = 1000
    seed: int = 0
    structures: bool = True
    alpha: float | None = 0.05
    counted: str = "0"


def score_array(table: Table, columns: Sequence[str]) -> np.ndarray:
    """(T, N, M) of a table's teams and cases, in its order, and the columns."""
    return np.array([[[row[c] for c in columns] for row in cases.values()] for cases in table.values()])


def write_team_scores(
    folder: str | Path, table: Table, columns: Sequence[str], *, stem: str = "scores"
) -> None:
    """Write ``<stem>_<team>.csv`` for every team, each with its cases and their average."""
    for team, scores in table.items():
        write_scores(Path(folder) / f"{stem}_{team}.csv", scores, columns)


def rank_and_draw(
    folder: str | Path,
    table: Table,
    report: Report,
    *,
    missing: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """Rank the teams, write the leaderboard and the report's other tables and plots.

    Args:
        folder: where.
        table: team -> case -> column -> value, the same cases for all teams.
        report: what to write.
        missing: team -> cases without a prediction, see
            :class:`common.evaluation.challenge.scoring.Scores`.

    Returns:
        the leaderboard's text.

    Raises:
        ValueError: scores are NaN, or the rule is none.
    """
    folder, columns, teams = Path(folder), report.columns, list(table)
    scores = score_array(table, columns.names)
    rule = {"higher_is_better": columns.higher_is_better, **report.rule}
    several = len(teams) > 1
    ranking = rank_teams(scores, **rule)
    bootstrap = None
    if several and report.draws:
        bootstrap = bootstrap_ranking(scores, draws=report.draws, seed=report.seed, **rule)
    significance = None
    if several and report.alpha is not None:
        significance = rank_by_significance(
            scores, higher_is_better=columns.higher_is_better, alpha=report.alpha
        )
    rows = leaderboard_rows(
        teams, columns, ranking, bootstrap=bootstrap, significance=significance, missing=missing
    )
    write_rows(folder / "leaderboard.csv", rows)
    lines = [show_leaderboard(rows, columns), "", *_notes(report, scores.shape[1], bootstrap, significance)]
    lines += missing_lines(missing or {}, scores.shape[1], report.counted)
    text = "\n".join(lines) + "\n"
    write_text(folder / "leaderboard.txt", text)
    draw_scores(folder / "scores.png", teams, scores, columns, ranking.order)
    if report.structures:
        write_structures(folder, [teams[t] for t in ranking.order], scores[ranking.order], columns)
    if bootstrap is not None:
        draw_places(folder / "places.png", teams, ranking, bootstrap)
    if significance is not None:
        write_rows(folder / "significance.csv", significance_rows(teams, significance))
        draw_significance(folder / "significance.png", teams, significance)
    return text


def _notes(
    report: Report, cases: int, bootstrap: Bootstrap | None, significance: Significance | None
) -> list[str]:
    lines = [f"{cases} cases. Place: by the mean of the ranks on {report.ranked}; ties share a place."]
    if bootstrap is not None:
        lines.append(
            f"place_low and place_high hold 95 % of {len(bootstrap.places)} rankings on cases drawn anew; "
            f"their order agrees with the whole by a Kendall tau of {_agreement(bootstrap)}."
        )
    if significance is not None:
        lines.append(
            "significance_place: by the number of teams that one is significantly better than (one-sided "
            f"Wilcoxon signed-rank tests over the cases, Holm's correction, level {report.alpha:g}), ranked "
            "in each column; teams without a significant difference share a place, the lowest. "
            "normalised_rank and significance_rank are mean ranks divided by the number of teams."
        )
    return lines


def _agreement(bootstrap: Bootstrap) -> str:
    known = bootstrap.agreement[~np.isnan(bootstrap.agreement)]
    return f"{known.mean():.2f} on average" if len(known) else "nothing, since all teams are equal"
