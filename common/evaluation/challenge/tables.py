"""A challenge's tables: the scores of a team, the leaderboard, the structures one by one."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common.evaluation.challenge.columns import Columns
from common.evaluation.challenge.teams import Team
from common.evaluation.ranking import Bootstrap, Ranking
from common.evaluation.significance import Significance
from common.evaluation.tables import format_table, write_rows
from common.files import write_text

__all__ = [
    "leaderboard_rows",
    "missing_lines",
    "show_leaderboard",
    "significance_rows",
    "structure_rows",
    "unused_lines",
    "write_scores",
    "write_structures",
]

_MOST_SHOWN = 8  # averages in the printed leaderboard


def write_scores(path: str | Path, scores: Mapping[str, Mapping[str, float]], columns: Sequence[str]) -> None:
    """Write a CSV of cases: caseID and the columns, with 8 decimals, and their average as the last row.

    Args:
        path: of the file, which is written atomically.
        scores: case -> column -> value; NaN becomes an empty cell and is left out of the average.
        columns: which to write, in this order.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["caseID", *columns])
    for case, row in scores.items():
        writer.writerow([case, *(_cell(row[c]) for c in columns)])
    writer.writerow(["average", *(_cell(_mean([row[c] for row in scores.values()])) for c in columns)])
    write_text(path, text.getvalue())


def _mean(values: Sequence[float]) -> float:
    found = [v for v in values if not math.isnan(v)]
    return float(np.mean(found)) if found else math.nan


def _cell(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.8f}"


def leaderboard_rows(
    teams: Sequence[str],
    columns: Columns,
    ranking: Ranking,
    *,
    bootstrap: Bootstrap | None = None,
    significance: Significance | None = None,
    missing: Mapping[str, Sequence[str]] | None = None,
) -> list[dict[str, Any]]:
    """The teams from first to last.

    Each row has place, mean rank, averages, the mean of each metric, with ``bootstrap`` the places that hold
    95 % of the draws, with ``significance`` the place and normalised mean rank by significance, the number of
    missing cases if a team lacks some, and the rank on each number that counts: the averages, or the means.

    Args:
        teams: T names.
        columns: of the averages.
        ranking: of the teams.
        bootstrap: on resampled cases.
        significance: the ranking by significance.
        missing: team -> cases without a prediction.
    """
    means = [f"mean_{metric}" for metric in columns.metrics]
    ranked = columns.names if ranking.ranks.shape[1] == len(columns.names) else means
    rows = []
    for t in ranking.order:
        row: dict[str, Any] = {"place": float(ranking.place[t]), "team": teams[t]}
        row["mean_rank"] = float(ranking.mean_rank[t])
        if significance is not None:
            row["normalised_rank"] = float(ranking.normalised[t])
            row["significance_place"] = float(significance.ranking.place[t])
            row["significance_rank"] = float(significance.ranking.normalised[t])
        averages = ranking.averages[t]
        row |= {c: float(v) for c, v in zip(columns.names, averages, strict=True)}
        row |= zip(means, (float(averages[list(group)].mean()) for group in columns.groups), strict=True)
        if bootstrap is not None:
            row["place_low"], row["place_high"] = (float(x) for x in bootstrap.interval[t])
        if missing:
            row["missing"] = len(missing.get(teams[t], ()))
        row |= {f"rank_{c}": float(v) for c, v in zip(ranked, ranking.ranks[t], strict=True)}
        rows.append(row)
    return rows


def show_leaderboard(rows: Sequence[Mapping[str, Any]], columns: Columns) -> str:
    """The leaderboard as text, without the single ranks; of more than eight averages without these too."""
    left_out = set(columns.names) if len(columns.names) > _MOST_SHOWN else set()
    shown = [
        {k: _shown(v) for k, v in row.items() if not k.startswith("rank_") and k not in left_out}
        for row in rows
    ]
    return format_table(shown)


def _shown(value: Any) -> Any:
    return f"{value:.4f}".rstrip("0").rstrip(".") if isinstance(value, float) else value


def missing_lines(missing: Mapping[str, Sequence[str]], cases: int, counted: str) -> list[str]:
    """One line for each team that lacks predictions."""
    return [
        f"{team}: {len(lacking)} of {cases} cases have no prediction and count as {counted}, "
        f"first {lacking[0]}"
        for team, lacking in missing.items()
    ]


def unused_lines(teams: Sequence[Team]) -> list[str]:
    """One line for each team with files that belong to no case."""
    return [
        f"{team.name}: {len(team.unused)} files belong to no case, first {team.unused[0].name}"
        for team in teams
        if team.unused
    ]


def significance_rows(teams: Sequence[str], found: Significance) -> list[dict[str, Any]]:
    """The teams from first to last by significance: place, mean rank, and wins over each other team.

    A column ``better_than_<team>`` is the number of columns in which the row's team is significantly better.
    """
    counts = found.better.sum(axis=2)
    rows = []
    for t in found.ranking.order:
        row: dict[str, Any] = {"place": float(found.ranking.place[t]), "team": teams[t]}
        row["mean_rank"] = float(found.ranking.mean_rank[t])
        row["normalised_rank"] = float(found.ranking.normalised[t])
        row["wins"] = int(counts[t].sum())
        rows.append(row | {f"better_than_{teams[o]}": int(counts[t, o]) for o in found.ranking.order})
    return rows


def structure_rows(teams: Sequence[str], scores: np.ndarray, columns: Columns) -> list[dict[str, Any]]:
    """For every structure and team the mean and the sample's standard deviation of each metric over cases.

    Args:
        teams: T names, in the order of the rows of a structure.
        scores: (T, N, M) of teams, cases and columns.
        columns: M of them.
    """
    rows = []
    for s, structure in enumerate(columns.structures):
        for team, values in zip(teams, scores, strict=True):
            row: dict[str, Any] = {"structure": structure, "team": team}
            for metric, group in zip(columns.metrics, columns.groups, strict=True):
                one = values[:, group[s]]
                row[f"{metric}_mean"] = float(one.mean())
                row[f"{metric}_sd"] = float(one.std(ddof=1)) if len(one) > 1 else math.nan
            rows.append(row)
    return rows


def write_structures(folder: str | Path, teams: Sequence[str], scores: np.ndarray, columns: Columns) -> None:
    """Write ``structures.csv``, and ``structures.txt`` with a line per structure: each team's mean.

    Args:
        folder: where.
        teams: T names, from the first place to the last.
        scores: (T, N, M), likewise.
        columns: M of them.
    """
    rows = structure_rows(teams, scores, columns)
    write_rows(Path(folder) / "structures.csv", rows)
    shown = []
    for structure in columns.structures:
        line: dict[str, str] = {"structure": structure}
        for metric in columns.metrics:
            for row in (one for one in rows if one["structure"] == structure):
                line[f"{metric} {row['team']}"] = f"{row[f'{metric}_mean']:.4f}"
        shown.append(line)
    write_text(Path(folder) / "structures.txt", format_table(shown) + "\n")
