"""Cut one panel out of a bundle's preview for the README's table of bundles.

    python -m tools.thumbnail cotr --row 2 --column 2

writes ``bundles/cotr/docs/thumbnail.png`` from ``docs/preview.png``.  Panels are what white space parts; rows
and columns count from 1.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

from common.bundles import bundle_folder
from common.commands import run_commands
from common.errors import InputError
from common.files import atomic_path

__all__ = ["panels", "thumbnail"]

SIDE = 128
_SMALLEST = 60  # pixels: titles, axis labels and legends are smaller in one direction


def panels(picture: np.ndarray) -> list[list[tuple[slice, slice]]]:
    """The panels of a figure on white ground, (H, W, 3) uint8, row by row, as slices of it."""
    drawn = (picture < 250).any(axis=2)
    rows = [
        [(vertical, horizontal) for horizontal in _runs(drawn[vertical].any(axis=0))]
        for vertical in _runs(drawn.any(axis=1))
    ]
    return [row for row in rows if row]


def _runs(filled: np.ndarray) -> Iterator[slice]:
    """Stretches of True that are long enough for a panel."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], filled.astype(int), [0]])))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        if stop - start >= _SMALLEST:
            yield slice(int(start), int(stop))


def thumbnail(bundle: str, *, row: int = 1, column: int = 1, source: str | None = None) -> str:
    """Write the thumbnail, at most 128 pixels wide and high.

    Args:
        bundle: its name.
        row: of the panel, from 1.
        column: of the panel, from 1.
        source: another figure than ``docs/preview.png``.

    Raises:
        InputError: the figure has no such panel.
    """
    folder = bundle_folder(bundle) / "docs"
    picture = Image.open(source or folder / "preview.png").convert("RGB")
    found = panels(np.asarray(picture))
    if not (1 <= row <= len(found) and 1 <= column <= len(found[row - 1])):
        shape = ", ".join(f"row {i} has {len(one)}" for i, one in enumerate(found, start=1))
        raise InputError(f"{bundle}: no panel in row {row}, column {column} of the figure; {shape or 'none'}")
    vertical, horizontal = found[row - 1][column - 1]
    panel = picture.crop((horizontal.start, vertical.start, horizontal.stop, vertical.stop))
    panel.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    with atomic_path(folder / "thumbnail.png") as temporary:
        panel.quantize(64).save(temporary, format="png", optimize=True)
    return f"{folder / 'thumbnail.png'}: {panel.width} x {panel.height} pixels"


if __name__ == "__main__":
    run_commands(thumbnail, "python -m tools.thumbnail")
