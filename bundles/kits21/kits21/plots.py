"""Plots of an evaluation: every team's six scores, and how stable the ranking is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from common.evaluation.drawing.figure_file import plain_label, save_figure
from common.evaluation.ranking import Bootstrap, Ranking
from kits21.metrics import COLUMNS

__all__ = ["draw_places", "draw_scores"]

_LONGEST = 24  # characters of a team's name


def draw_scores(path: str | Path, teams: Sequence[str], scores: np.ndarray, order: Sequence[int]) -> None:
    """One panel per score: a box per team, its cases as dots, its average as a line.

    Args:
        path: PNG to write.
        teams: names.
        scores: (T, N, 6) of teams, cases and columns.
        order: teams from left to right.
    """
    figure = Figure(figsize=(3 + 1.1 * max(3, len(teams)) * 1.5, 7), layout="constrained", facecolor="white")
    axes = figure.subplots(2, 3, sharey=True)
    names = [plain_label(teams[t], longest=_LONGEST) for t in order]
    jitter = np.random.default_rng(0).uniform(-0.12, 0.12, scores.shape[1])
    for column, (name, axis) in enumerate(zip(COLUMNS, axes.ravel(), strict=True)):
        values = [scores[t, :, column] for t in order]
        axis.boxplot(values, showfliers=False, widths=0.5, medianprops={"color": "tab:blue"})
        for place, one in enumerate(values, start=1):
            axis.plot(place + jitter, one, ".", color="0.5", ms=4, alpha=0.6)
            axis.hlines(one.mean(), place - 0.35, place + 0.35, color="tab:red", lw=1.8)
        axis.set(title=name.replace("_", " "), ylim=(-0.03, 1.03))
        axis.set_xticks(range(1, len(order) + 1), names, rotation=30, ha="right")
        axis.grid(axis="y", alpha=0.3)
    figure.suptitle(f"{scores.shape[1]} cases; red: average, blue: median", fontsize=10)
    save_figure(figure, path)


def draw_places(path: str | Path, teams: Sequence[str], ranking: Ranking, bootstrap: Bootstrap) -> None:
    """How often each team took each place when the cases were resampled.

    Args:
        path: PNG to write.
        teams: names.
        ranking: on all cases.
        bootstrap: on resampled cases.
    """
    order = ranking.order
    number = len(order)
    figure = Figure(figsize=(3 + 0.6 * number, 2 + 0.45 * number), layout="constrained", facecolor="white")
    axis = figure.subplots()
    shares = bootstrap.frequency[order]
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in zip(*np.nonzero(shares >= 0.005), strict=True):
        share = shares[row, column]
        axis.text(
            column,
            row,
            f"{share:.0%}",
            ha="center",
            va="center",
            fontsize=8,
            color="white" if share > 0.5 else "0.2",
        )
    axis.set_xticks(range(number), range(1, number + 1))
    axis.set_yticks(range(number), [plain_label(teams[t], longest=_LONGEST) for t in order])
    axis.set(xlabel="place", title=f"places in {len(bootstrap.places)} draws of the cases")
    save_figure(figure, path)
