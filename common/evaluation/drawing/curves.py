"""Curves over the epochs of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from common.evaluation.drawing.colours import COLOURS
from common.evaluation.drawing.figure_file import save_figure

__all__ = ["draw_curves"]

_LEGEND_LINES = 24  # in a column of a legend
_LEGEND_WIDTH = 2.0  # inches of a further column


def draw_curves(
    rows: Sequence[Mapping[str, float | None]], path: str | Path, panels: Mapping[str, Sequence[str]]
) -> None:
    """Lines over epochs, one panel for each group of columns.

    Args:
        rows: one mapping per epoch with ``epoch`` and the columns; None where nothing was measured.
        path: PNG to write.
        panels: panel title -> columns in it.
    """
    legends = [max(1, math.ceil(len(columns) / _LEGEND_LINES)) for columns in panels.values()]
    width = sum(5 + _LEGEND_WIDTH * (number - 1) for number in legends)
    figure = Figure(figsize=(width, 3.6), layout="constrained", facecolor="white")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for (title, columns), number, axis in zip(panels.items(), legends, axes, strict=True):
        for i, column in enumerate(columns):
            points = [(row["epoch"], row[column]) for row in rows if row.get(column) is not None]
            if points:
                colour, width = ("black", 2.5) if i == 0 else (COLOURS[(i - 1) % len(COLOURS)], 1.2)
                axis.plot(
                    *zip(*points, strict=True),
                    marker=".",
                    color=colour,
                    lw=width,
                    label=column.replace("_", " "),
                )
        axis.set(title=title.replace("_", " "), xlabel="epoch")
        axis.grid(alpha=0.3)
        if len(axis.lines) > 1:
            place = {"loc": "upper left", "bbox_to_anchor": (1, 1)}
            axis.legend(fontsize=7 if number == 1 else 5, frameon=False, ncols=number, **place)
    save_figure(figure, path)
