"""Contours of label maps over slices of a volume or over a colour picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from monai.data import MetaTensor
from monai.transforms import Orientation

from common.evaluation.drawing.colours import COLOURS
from common.evaluation.drawing.figure_file import save_figure

__all__ = ["draw_colour_picture", "draw_slices"]

_COLUMNS = 4


def _upright(volume: MetaTensor) -> np.ndarray:
    """First channel, axes (left-right, front-back, feet-head), ascending to L, P and S."""
    return np.asarray(Orientation(axcodes="LPS", labels=None)(volume.cpu()))[0]


def _axial_positions(foreground: np.ndarray) -> list[int]:
    """Axial slices spread over the extent of the foreground, or over the volume where there is none."""
    present = np.flatnonzero(foreground.any(axis=(0, 1)))
    low, high = (present[0], present[-1]) if present.size else (0, foreground.shape[2] - 1)
    return [round(low + (high - low) * (i + 0.5) / _COLUMNS) for i in range(_COLUMNS)]


def draw_slices(
    image: MetaTensor,
    contours: Mapping[str, MetaTensor],
    names: Mapping[int, str],
    path: str | Path,
    *,
    title: str = "",
    shades: Mapping[str, MetaTensor] | None = None,
) -> None:
    """Axial slices with the contours of label maps, one row for each map, and a legend of the classes.

    Seen from the feet, the patient's right on the left of the picture.

    Args:
        image: (C, X, Y, Z) with an affine; its first channel is shown from 1st to 99th percentile.
        contours: row title -> label map (1, X, Y, Z) on the image's grid.
        names: class number -> name; 0 is not drawn.
        path: PNG to write.
        title: above the rows.
        shades: row title -> probabilities (1, X, Y, Z) on the image's grid, in further rows as a colour
            over the image that is the more opaque the higher they are.
    """
    grey = _upright(image)
    maps = {row: _upright(label) for row, label in contours.items()}
    shaded = {row: _upright(probability) for row, probability in (shades or {}).items()}
    spacing = Orientation(axcodes="LPS", labels=None)(image.cpu()).pixdim.tolist()
    low, high = np.percentile(grey, [1, 99])
    positions = _axial_positions(np.any([m > 0 for m in maps.values()], axis=0))
    present = sorted({int(v) for m in maps.values() for v in np.unique(m) if v > 0})

    rows = [*maps, *shaded]
    figure = Figure(
        figsize=(3 * _COLUMNS + 2, 2.7 * len(rows) + 0.6), layout="constrained", facecolor="white"
    )
    axes = figure.subplots(len(rows), _COLUMNS, squeeze=False)
    aspect = spacing[1] / spacing[0]
    for row, line in zip(rows, axes, strict=True):
        for z, axis in zip(positions, line, strict=True):
            axis.imshow(grey[:, :, z].T, cmap="gray", vmin=low, vmax=high, aspect=aspect)
            axis.set(xticks=[], yticks=[])
        line[0].set_ylabel(row, fontsize=12)
    for label, line in zip(maps.values(), axes, strict=False):
        for z, axis in zip(positions, line, strict=True):
            for value in present:
                _draw_contour(axis, value == label[:, :, z].T, value)
    for probability, line in zip(shaded.values(), axes[len(maps) :], strict=True):
        for z, axis in zip(positions, line, strict=True):
            shade = np.clip(probability[:, :, z].T, 0, 1)
            axis.imshow(shade, cmap="autumn", vmin=0, vmax=1, alpha=shade, aspect=aspect)
    _finish(figure, present, names, title, path)


def draw_colour_picture(
    picture: np.ndarray,
    contours: Mapping[str, np.ndarray],
    names: Mapping[int, str],
    path: str | Path,
    *,
    title: str = "",
) -> None:
    """A colour picture, and beside it a copy with the contours of each label map.

    Each contour is drawn around a class together with those of higher numbers: nested classes get
    complete outlines.

    Args:
        picture: (H, W, 3) or (H, W), 0..255.
        contours: title -> label map (H', W') of the same picture, of any size.
        names: class number -> name; 0 is not drawn.
        path: PNG to write.
        title: title of the figure.
    """
    height, width = picture.shape[:2]
    present = sorted({int(v) for m in contours.values() for v in np.unique(m) if v > 0})
    figure = Figure(
        figsize=(3.4 * (1 + len(contours)) + 1.6, 3.4 * height / width + 0.8),
        layout="constrained",
        facecolor="white",
    )
    axes = figure.subplots(1, 1 + len(contours), squeeze=False)[0]
    for axis, (row, label) in zip(axes, {"picture": None, **contours}.items(), strict=True):
        axis.imshow(picture, cmap="gray", extent=(0, width, height, 0))
        for value in present if label is not None else ():
            _draw_contour(axis, label >= value, value, extent=(0, width, 0, height))
        axis.set(xticks=[], yticks=[], xlabel=row)
    _finish(figure, present, names, title, path)


def _draw_contour(
    axis: Axes, mask: np.ndarray, value: int, extent: tuple[float, float, float, float] | None = None
) -> None:
    if mask.any() and not mask.all():
        colour = COLOURS[(value - 1) % len(COLOURS)]
        axis.contour(mask, levels=[0.5], colors=[colour], linewidths=1.3, extent=extent)


def _finish(
    figure: Figure, present: Sequence[int], names: Mapping[int, str], title: str, path: str | Path
) -> None:
    """Legend of the classes, title, file."""
    handles = [
        Line2D([], [], color=COLOURS[(v - 1) % len(COLOURS)], label=names.get(v, f"class {v}"), lw=2)
        for v in present
    ]
    if handles:
        figure.legend(handles=handles, loc="outside right upper", frameon=False)
    if title:
        figure.suptitle(title, fontsize=11)
    save_figure(figure, path)
