"""``structures.png``: every structure of one case on a page, each where its area is largest.

Source: segrap2023/docs/method.md#pictures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from monai.data import MetaTensor
from monai.transforms import Orientation

from common.datasets.raw.segrap_classes import ORGANS, Structures, membership
from common.evaluation.drawing.figure_file import save_figure
from common.training.preview import FirstCases
from segrap2023.structures import structures_of

__all__ = ["StructurePage", "draw_page"]

_COLUMNS = 9
_MARGIN_MM = 15.0


class StructurePage(FirstCases):
    """Draws all structures of the first case: the reference's contour and the prediction's.

    Args:
        path: PNG to write.
        task: "organs" or "tumours".
        names: of the network's classes, see :func:`segrap2023.structures.structures_of`.
    """

    def __init__(
        self, path: str | Path, *, task: str = "organs", names: Mapping[int, str] | None = None
    ) -> None:
        super().__init__(path)
        self.structures = structures_of(task, names)

    def part(self, case: Mapping[str, Any]) -> dict[str, MetaTensor]:
        """The CT without contrast agent as the file holds it, label and prediction on its grid."""
        return {key: case[key].detach().cpu() for key in ("label", "pred")} | {"image": _scan_of(case)}

    def picture(self, kept: Sequence[dict[str, MetaTensor]], epoch: int) -> None:
        """The page."""
        (first,) = kept
        draw_page(first["image"], first["label"], first["pred"], self.path, self.structures)


def _scan_of(case: Mapping[str, Any]) -> MetaTensor:
    from monai.transforms import LoadImage  # the image in the case lies on the network's grid

    file = case["image"].meta["filename_or_obj"]
    return LoadImage(image_only=True, ensure_channel_first=True)(file)


def draw_page(
    image: MetaTensor,
    reference: MetaTensor,
    prediction: MetaTensor,
    path: str | Path,
    structures: Structures = ORGANS,
) -> None:
    """One panel for each structure: an axial slice where it is largest, cut around it.

    Seen from the feet, the patient's right on the left of the picture.  The reference is green, the
    prediction red; a structure in neither is named and left empty.

    Args:
        image: (C, X, Y, Z), HU, with an affine; its first channel is shown from -200 to 300 HU.
        reference: label map (1, X, Y, Z) of the exclusive classes on the image's grid.
        prediction: likewise.
        path: PNG to write.
        structures: name -> classes.
    """
    upright = Orientation(axcodes="LPS", labels=None)
    turned = upright(image)
    grey, spacing = np.asarray(turned)[0], turned.pixdim.tolist()
    fine = [np.asarray(upright(one))[0].astype(np.uint8) for one in (reference, prediction)]
    rows = math.ceil(len(structures) / _COLUMNS)
    columns = min(_COLUMNS, len(structures))
    figure = Figure(figsize=(1.7 * columns, 1.95 * rows + 0.5), layout="constrained", facecolor="white")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        axis.axis("off")
    for axis, name, members in zip(axes, structures, membership(structures), strict=False):
        axis.set_title(name, fontsize=7)
        _draw_panel(axis, grey, [members[one] for one in fine], spacing)
    figure.suptitle("green: reference, red: prediction", fontsize=9)
    save_figure(figure, path)


def _draw_panel(axis: Any, grey: np.ndarray, masks: Sequence[np.ndarray], spacing: Sequence[float]) -> None:
    shown = masks[0] if masks[0].any() else masks[1]
    if not shown.any():
        return
    z = int(shown.sum(axis=(0, 1)).argmax())
    box = []
    for side, mm, line in zip(
        grey.shape, spacing, (shown.any(axis=(1, 2)), shown.any(axis=(0, 2))), strict=False
    ):
        places, margin = np.flatnonzero(line), math.ceil(_MARGIN_MM / mm)
        box.append(slice(max(0, places[0] - margin), min(side, places[-1] + margin + 1)))
    at = (*box, z)
    axis.imshow(grey[at].T, cmap="gray", vmin=-200, vmax=300, aspect=spacing[1] / spacing[0])
    for mask, colour in zip(masks, ("tab:green", "tab:red"), strict=True):
        part = mask[at].T
        if part.any() and not part.all():
            axis.contour(part, levels=[0.5], colors=[colour], linewidths=1.0)
