"""Pictures of a registration: a checkerboard, and a pair before and after with its deformed grid.

Volumes are (X, Y, Z) with axes along R, A, S; pictures show the middle slice of each axis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from monai.data import MetaTensor
from torch import Tensor

from common.evaluation.drawing.figure_file import save_figure
from common.registration.warp import warp
from common.tensors.plain import plain
from common.training.preview import FirstCases

__all__ = ["PairPreview", "draw_checkerboard", "draw_pair"]

_SQUARES = 8  # along the longer side of a slice
_LINES = 16  # of a deformed grid, along the longer side of a slice


def draw_checkerboard(warped: Tensor, fixed: Tensor, path: str | Path) -> None:
    """The middle slice of each axis, as alternating squares of the warped and the fixed image.

    Args:
        warped: (X, Y, Z).
        fixed: (X, Y, Z); each image is scaled by its own 99.5th percentile.
        path: PNG to write.
    """
    images = [
        x.float() / x.float().flatten().sort().values[int(0.995 * (x.numel() - 1))].clamp(min=1e-6)
        for x in (warped, fixed)
    ]
    figure = Figure(figsize=(12, 4.4), layout="constrained", facecolor="white")
    for axis, panel in enumerate(figure.subplots(1, 3)):
        one, other = (_middle(x, axis) for x in images)
        square = max(1, -(-max(one.shape) // _SQUARES))
        rows, columns = torch.meshgrid(*(torch.arange(m) // square for m in one.shape), indexing="ij")
        _show(panel, torch.where((rows + columns) % 2 == 0, one, other), vmax=1.0)
    save_figure(figure, path)


def draw_pair(image: MetaTensor, displacement: Tensor, path: str | Path, *, title: str = "") -> None:
    """Moving, fixed and warped image, the differences before and after, and the deformed grid.

    The deformed grid is the fixed image's grid, drawn where its points lie in the moving image.

    Args:
        image: (2, X, Y, Z), moving and fixed, in 0..1, with an affine.
        displacement: (3, X, Y, Z) voxels.
        path: PNG to write.
        title: of the figure.
    """
    spacing = [float(mm) for mm in image.pixdim]
    pair, field = plain(image).cpu().float(), plain(displacement).cpu().float()
    moving, fixed = pair
    warped = warp(pair[None, :1], field[None])[0, 0]
    shown = {
        "moving": moving,
        "fixed": fixed,
        "warped": warped,
        "|moving - fixed|": (moving - fixed).abs(),
        "|warped - fixed|": (warped - fixed).abs(),
    }
    figure = Figure(figsize=(15, 7.8), layout="constrained", facecolor="white")
    for axis, line in enumerate(figure.subplots(3, len(shown) + 1)):
        aspect = [mm for other, mm in enumerate(spacing) if other != axis]
        for (name, volume), panel in zip(shown.items(), line, strict=False):
            colours = "gray" if name in ("moving", "fixed", "warped") else "magma"
            _show(panel, _middle(volume, axis), vmax=1.0, colours=colours, aspect=aspect[1] / aspect[0])
            if axis == 0:
                panel.set_title(name, fontsize=10)
        _draw_grid(line[-1], field, axis, aspect[1] / aspect[0])
    figure.axes[len(shown)].set_title("deformed grid", fontsize=10)
    figure.suptitle(title, fontsize=11)
    save_figure(figure, path)


def _middle(volume: Tensor, axis: int) -> Tensor:
    return volume.select(axis, volume.shape[axis] // 2)


def _show(panel: Axes, values: Tensor, *, vmax: float, colours: str = "gray", aspect: float = 1.0) -> None:
    panel.imshow(values.T, cmap=colours, vmin=0, vmax=vmax, origin="lower", aspect=aspect)
    panel.set(xticks=[], yticks=[])


def _draw_grid(panel: Axes, field: Tensor, axis: int, aspect: float) -> None:
    rows, columns = (_middle(component, axis) for i, component in enumerate(field) if i != axis)
    points = torch.meshgrid(*(torch.arange(n) for n in rows.shape), indexing="ij")
    x, y = points[0] + rows, points[1] + columns
    step = max(1, max(rows.shape) // _LINES)
    for i in range(0, rows.shape[0], step):
        panel.plot(x[i], y[i], color="C0", lw=0.7)
    for j in range(0, rows.shape[1], step):
        panel.plot(x[:, j], y[:, j], color="C0", lw=0.7)
    panel.set(
        xticks=[],
        yticks=[],
        aspect=aspect,
        xlim=(-0.5, rows.shape[0] - 0.5),
        ylim=(-0.5, rows.shape[1] - 0.5),
    )


class PairPreview(FirstCases):
    """The first pair of an evaluation."""

    def part(self, case: Mapping[str, Any]) -> dict[str, MetaTensor]:
        """Both images and the displacement."""
        return {key: case[key].detach().cpu() for key in ("image", "pred")}

    def picture(self, kept: Sequence[dict[str, MetaTensor]], epoch: int) -> None:
        """See :func:`draw_pair`."""
        (pair,) = kept
        title = Path(pair["image"].meta["filename_or_obj"]).name
        if self.only_best:
            title += f", epoch {epoch}"
        draw_pair(pair["image"], pair["pred"], self.path, title=title)
