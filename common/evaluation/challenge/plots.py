"""Plots of a challenge: every team's scores, how stable the ranking is, and who is significantly better."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from common.evaluation.challenge.columns import Columns
from common.evaluation.drawing.colours import COLOURS
from common.evaluation.drawing.figure_file import plain_label, save_figure
from common.evaluation.ranking import Bootstrap, Ranking
from common.evaluation.significance import Significance

__all__ = ["draw_places", "draw_scores", "draw_significance"]

_LONGEST = 24  # characters of a team's name
_MOST_PANELS = 5  # structures that get a panel each


def draw_scores(
    path: str | Path, teams: Sequence[str], scores: np.ndarray, columns: Columns, order: Sequence[int]
) -> None:
    """Box plots of all scores.

    With up to five structures one panel per score: a box per team, its cases as dots, its average as a line.
    With more a panel per metric and a line per structure, with a coloured box per team.

    Args:
        path: PNG to write.
        teams: names.
        scores: (T, N, M) of teams, cases and columns.
        columns: M of them.
        order: teams from left to right, or from top to bottom.
    """
    draw = _panels if len(columns.structures) <= _MOST_PANELS else _lines
    names = [plain_label(teams[t], longest=_LONGEST) for t in order]
    save_figure(draw(names, scores[list(order)], columns), path)


def _panels(names: Sequence[str], scores: np.ndarray, columns: Columns) -> Figure:
    rows, across = len(columns.metrics), len(columns.structures)
    width = across * (1 + 0.55 * max(3, len(names)))
    figure = Figure(figsize=(max(width, 5), 3.5 * rows), layout="constrained", facecolor="white")
    axes = figure.subplots(rows, across, sharey="row", squeeze=False)
    jitter = np.random.default_rng(0).uniform(-0.12, 0.12, scores.shape[1])
    limits = [_limits(scores[:, :, list(group)]) for group in columns.groups for _ in columns.structures]
    for column, (name, axis) in enumerate(zip(columns.names, axes.ravel(), strict=True)):
        values = list(scores[:, :, column])
        axis.boxplot(values, showfliers=False, widths=0.5, medianprops={"color": "tab:blue"})
        for place, one in enumerate(values, start=1):
            axis.plot(place + jitter, one, ".", color="0.5", ms=4, alpha=0.6)
            axis.hlines(one.mean(), place - 0.35, place + 0.35, color="tab:red", lw=1.8)
        axis.set(title=name.replace("_", " "), ylim=limits[column])
        axis.set_xticks(range(1, len(names) + 1), names, rotation=30, ha="right")
        axis.grid(axis="y", alpha=0.3)
    figure.suptitle(f"{scores.shape[1]} cases; red: average, blue: median", fontsize=10)
    return figure


def _lines(names: Sequence[str], scores: np.ndarray, columns: Columns) -> Figure:
    structures, each = len(columns.structures), 0.8 / len(names)
    height = 1.5 + structures * max(0.25, 0.13 * len(names))
    size = (2 + 4.5 * len(columns.metrics), height)
    figure = Figure(figsize=size, layout="constrained", facecolor="white")
    axes = figure.subplots(1, len(columns.metrics), sharey=True, squeeze=False)[0]
    colours = [COLOURS[t % len(COLOURS)] for t in range(len(names))]
    for metric, group, axis in zip(columns.metrics, columns.groups, axes, strict=True):
        values = scores[:, :, list(group)]
        for t, colour in enumerate(colours):
            at = np.arange(structures) - 0.4 + each * (t + 0.5)
            _boxes(axis, values[t], at, 0.8 * each, colour)
        axis.set(title=metric, xlim=_limits(values), ylim=(structures - 0.5, -0.5))
        axis.set_yticks(range(structures), [plain_label(name) for name in columns.structures], fontsize=8)
        axis.grid(axis="x", alpha=0.3)
    handles = [Patch(color=colour, label=name) for colour, name in zip(colours, names, strict=True)]
    figure.legend(handles=handles, loc="outside upper center", ncols=min(4, len(names)), fontsize=8)
    return figure


def _boxes(axis: Axes, values: np.ndarray, at: np.ndarray, width: float, colour: tuple) -> None:
    """A horizontal box for each column of values (N, S)."""
    axis.boxplot(
        list(values.T),
        positions=at,
        widths=width,
        orientation="horizontal",
        patch_artist=True,
        manage_ticks=False,
        boxprops={"facecolor": colour, "linewidth": 0.4},
        medianprops={"color": "black", "linewidth": 1},
        whiskerprops={"linewidth": 0.5},
        showcaps=False,
        flierprops={"marker": ".", "markersize": 2, "markeredgecolor": colour},
    )


def _limits(values: np.ndarray) -> tuple[float, float] | tuple[None, None]:
    """The axis of shares goes from 0 to 1, any other one where it likes."""
    return (-0.03, 1.03) if values.min() >= 0 and values.max() <= 1 else (None, None)


def draw_places(path: str | Path, teams: Sequence[str], ranking: Ranking, bootstrap: Bootstrap) -> None:
    """How often each team took each place when the cases were resampled.

    Args:
        path: PNG to write.
        teams: names.
        ranking: on all cases.
        bootstrap: on resampled cases.
    """
    names = [teams[t] for t in ranking.order]
    shares = bootstrap.frequency[ranking.order]
    axis = _matrix(names, [str(place + 1) for place in range(len(names))], shares)
    axis.set(xlabel="place", title=f"places in {len(bootstrap.places)} draws of the cases")
    save_figure(axis.figure, path)


def draw_significance(path: str | Path, teams: Sequence[str], found: Significance) -> None:
    """In which share of the columns the team of a line is significantly better than that of a column.

    Args:
        path: PNG to write.
        teams: names.
        found: the ranking by significance.
    """
    order = found.ranking.order
    names = [teams[t] for t in order]
    axis = _matrix(names, names, found.better.mean(axis=2)[np.ix_(order, order)])
    for label in axis.get_xticklabels():
        label.set(rotation=30, ha="right")
    axis.set(xlabel="significantly better than", title=f"share of {found.better.shape[2]} columns")
    save_figure(axis.figure, path)


def _matrix(lines: Sequence[str], columns: Sequence[str], shares: np.ndarray) -> Axes:
    number = len(lines)
    figure = Figure(figsize=(3 + 0.6 * number, 2 + 0.45 * number), layout="constrained", facecolor="white")
    axis = figure.subplots()
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in zip(*np.nonzero(shares >= 0.005), strict=True):
        share = shares[row, column]
        colour = "white" if share > 0.5 else "0.2"
        axis.text(column, row, f"{share:.0%}", ha="center", va="center", fontsize=8, color=colour)
    axis.set_xticks(range(number), [plain_label(name, longest=_LONGEST) for name in columns])
    axis.set_yticks(range(number), [plain_label(name, longest=_LONGEST) for name in lines])
    return axis
