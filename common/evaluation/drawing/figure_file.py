"""A figure as a PNG, with every label drawn literally.

Names of classes, files and teams can be anything: matplotlib would read ``$`` as the start of a formula, and
fail where it is not one.
"""

from __future__ import annotations

import unicodedata
import warnings
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.text import Text

from common.files import atomic_path

__all__ = ["plain_label", "save_figure"]

_REPLACED = "\N{REPLACEMENT CHARACTER}"


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure, whole or not at all.

    Args:
        figure: complete, since each of its labels becomes a :func:`plain_label`.  Tick labels must be plain
            already, since an axis sets them again when it is drawn.
        path: PNG to write.
    """
    for text in figure.findobj(Text):
        text.set_parse_math(False)
        text.set_text(plain_label(text.get_text()))
    with warnings.catch_warnings(), atomic_path(path) as temporary:
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a box is drawn
        figure.savefig(temporary, dpi=100)


def plain_label(text: str, *, longest: int = 60) -> str:
    """One line without control characters, shortened in the middle if it is too long."""
    line = " ".join(text.split())
    if len(line) > longest:
        line = line[: longest // 2] + "…" + line[-(longest - 1 - longest // 2) :]
    return "".join(_REPLACED if unicodedata.category(one)[0] == "C" else one for one in line)
