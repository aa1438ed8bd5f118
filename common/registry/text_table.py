"""Text for the screen: columns aligned, and nothing in it that a terminal would obey."""

from __future__ import annotations

from collections.abc import Sequence

from common.errors import printable

__all__ = ["aligned"]

_LONGEST = 400


def aligned(rows: Sequence[Sequence[object]]) -> str:
    """One line a row; all rows have the same number of columns, and the last one is not padded.

    Cells are shown by :func:`printable`, and cut where they are very long.
    """
    shown = [[_cell(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in shown
    )


def _cell(value: object) -> str:
    text = str(value)
    return printable(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}...")
