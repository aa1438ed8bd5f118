"""The challenge's table of scores, and the leaderboard."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common.evaluation.ranking import Bootstrap, Ranking
from common.evaluation.tables import format_table, write_rows
from common.files import write_text
from kits21.metrics import COLUMNS

__all__ = ["leaderboard_rows", "write_leaderboard", "write_scores"]


def write_scores(
    path: str | Path,
    scores: Mapping[str, Mapping[str, float]],
    columns: Sequence[str] = COLUMNS,
) -> None:
    """Write the challenge's CSV: caseID and the columns, with 8 decimals, and their average as the last row.

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
    teams: Sequence[str], ranking: Ranking, bootstrap: Bootstrap | None
) -> list[dict[str, Any]]:
    """The teams from first to last: place, mean rank, averages, and the rank on each number that counts.

    These are the six averages, or the mean Dice and the mean surface Dice.
    """
    means = ("mean_Dice", "mean_SD")
    ranked = COLUMNS if ranking.ranks.shape[1] == len(COLUMNS) else means
    rows = []
    for t in ranking.order:
        row: dict[str, Any] = {"place": float(ranking.place[t]), "team": teams[t]}
        row["mean_rank"] = float(ranking.mean_rank[t])
        row |= {c: float(v) for c, v in zip(COLUMNS, ranking.averages[t], strict=True)}
        row |= zip(means, (float(half.mean()) for half in np.split(ranking.averages[t], 2)), strict=True)
        if bootstrap is not None:
            row["place_low"], row["place_high"] = (float(x) for x in bootstrap.interval[t])
        row |= {f"rank_{c}": float(v) for c, v in zip(ranked, ranking.ranks[t], strict=True)}
        rows.append(row)
    return rows


def write_leaderboard(
    folder: str | Path,
    teams: Sequence[str],
    ranking: Ranking,
    bootstrap: Bootstrap | None,
    *,
    cases: int,
) -> str:
    """Write ``leaderboard.csv`` and ``leaderboard.txt``, and return the text."""
    rows = leaderboard_rows(teams, ranking, bootstrap)
    write_rows(Path(folder) / "leaderboard.csv", rows)
    shown = [{k: _shown(v) for k, v in row.items() if not k.startswith("rank_")} for row in rows]
    lines = [format_table(shown), ""]
    by = "six averages" if ranking.ranks.shape[1] == len(COLUMNS) else "mean Dice and mean SD"
    lines.append(f"{cases} cases. Place: by the mean of the ranks on {by}; ties share a place.")
    if bootstrap is not None:
        lines.append(
            f"place_low and place_high hold 95 % of {len(bootstrap.places)} rankings on cases drawn anew; "
            f"their order agrees with the whole by a Kendall tau of {_agreement(bootstrap)}."
        )
    text = "\n".join(lines) + "\n"
    write_text(Path(folder) / "leaderboard.txt", text)
    return text


def _shown(value: Any) -> Any:
    return f"{value:.4f}".rstrip("0").rstrip(".") if isinstance(value, float) else value


def _agreement(bootstrap: Bootstrap) -> str:
    known = bootstrap.agreement[~np.isnan(bootstrap.agreement)]
    return f"{known.mean():.2f} on average" if len(known) else "nothing, since all teams are equal"
