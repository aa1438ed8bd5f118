"""A case of a run as one picture, whatever kind of image it is: slices of a volume, or a colour picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from monai.data import MetaTensor
from torch import Tensor

from common.evaluation.drawing.overlays import draw_colour_picture, draw_slices
from common.pictures import open_picture
from common.tensors.nested import nested_label

__all__ = ["draw_case"]


def draw_case(
    image: MetaTensor,
    contours: Mapping[str, Tensor],
    names: Mapping[int, str],
    path: str | Path,
    *,
    title: str = "",
    columns_first: bool = False,
    shades: Mapping[str, MetaTensor] | None = None,
) -> None:
    """Draw a volume's slices, or a picture as its file holds it, with contours.

    Args:
        image: (C, X, Y, Z) with an affine; or (C, H, W), of which only the file's name is used, since
            scaled intensities are no colours.
        contours: title -> label map (1, *S), or nested channels (K - 1, *S) of 0 and 1.
        names: class number -> name.
        path: PNG to write.
        title: title of the figure.
        columns_first: label maps of pictures are (W, H), as MONAI reads and writes files.
        shades: title -> probabilities (1, X, Y, Z), drawn in rows of their own; of volumes alone.
    """
    maps = {row: nested_label(label) if len(label) > 1 else label for row, label in contours.items()}
    if image.ndim == 4:
        draw_slices(image, maps, names, path, title=title, shades=shades)
        return
    file = Path(image.meta["filename_or_obj"])
    arrays = {row: np.asarray(label.cpu())[0] for row, label in maps.items()}
    if columns_first:
        arrays = {row: array.T for row, array in arrays.items()}
    picture = np.asarray(open_picture(file).convert("RGB"))
    draw_colour_picture(picture, arrays, names, path, title=title)
