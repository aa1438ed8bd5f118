"""Two stages: a first network says where to look, a second one looks there more closely.

The first stage sees the whole scan, often at a lower resolution; around what it finds boxes are laid, in
voxels of the finer grid; the second stage runs within the boxes, and its findings are pasted into the whole.

Axes: B batch, C input channels, K output channels, (D, H, W); spacing in mm in this order.
Pieces are connected through faces, edges or corners.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from scipy import ndimage
from torch import Tensor, maximum
from torch.nn import functional

from common.errors import InputError
from common.evaluation.metrics.surface_elements import box_of

__all__ = [
    "Box",
    "box_around",
    "boxes_around_pieces",
    "coarse_size",
    "coarse_spacing",
    "coarse_view",
    "pieces",
    "refine",
]

Box = tuple[slice, ...]
_ALL_NEIGHBOURS = np.ones((3, 3, 3))


def coarse_spacing(spacing: Sequence[float], factor: float) -> list[float]:
    """Spacing of the first stage, mm: a multiple of the second stage's smallest, in all directions.

    Raises:
        InputError: the plan has a spacing for each of several modalities.
    """
    if isinstance(spacing, Mapping):
        raise InputError(
            f"the cases are of several modalities ({', '.join(spacing)}), and two stages take one spacing; "
            "keep each modality in a data set of its own"
        )
    return [factor * min(spacing)] * len(spacing)


def coarse_size(sides: Sequence[int], spacing: Sequence[float], coarse: Sequence[float]) -> list[int]:
    """Voxels of the first stage's view; an axis that is already coarser is left alone.

    Args:
        sides: voxels of the case, (D, H, W).
        spacing: of the case, mm.
        coarse: spacing of the first stage, mm.
    """
    return [max(1, round(n * s / max(s, c))) for n, s, c in zip(sides, spacing, coarse, strict=True)]


def coarse_view(
    image: Tensor, spacing: Sequence[float], coarse: Sequence[float]
) -> tuple[Tensor, list[float]]:
    """The first stage's view: (B, C, D, H, W) averaged to (B, C, d, h, w), and the spacing that it has.

    Args:
        image: float.
        spacing: of the image, mm.
        coarse: wanted, mm; see :func:`coarse_size`.
    """
    sides = image.shape[2:]
    size = coarse_size(sides, spacing, coarse)
    view = functional.interpolate(image, size=size, mode="area")
    return view, [s * n / small for s, n, small in zip(spacing, sides, size, strict=True)]


def pieces(mask: np.ndarray, spacing: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """The connected pieces of a bool mask (D, H, W): each voxel's number, 0 outside, and volumes in mL.

    Returns:
        int (D, H, W), and float (N + 1,) by number; the first is the volume outside.
    """
    numbered, number = ndimage.label(mask, structure=_ALL_NEIGHBOURS)
    sizes = np.bincount(numbered.ravel(), minlength=number + 1)
    return numbered, sizes * math.prod(spacing) / 1000


def box_around(
    mask: np.ndarray,
    spacing: Sequence[float],
    shape: Sequence[int],
    *,
    margin_mm: float,
    at_least: Sequence[int] = (1, 1, 1),
) -> Box | None:
    """The box around a whole mask, such as one structure of a label map; None where it is empty.

    Args:
        mask: bool (D, H, W).
        spacing: of the mask.
        shape: voxels of the grid that the box is for, which covers the same volume.
        margin_mm: around the mask.
        at_least: minimum voxels per side, if the grid has as many.
    """
    part = box_of(mask)
    return None if part is None else _widened(part, mask.shape, spacing, shape, margin_mm, at_least)


def boxes_around_pieces(
    mask: np.ndarray,
    spacing: Sequence[float],
    shape: Sequence[int],
    *,
    margin_mm: float = 20.0,
    smallest_ml: float = 10.0,
    most: int = 2,
    at_least: Sequence[int] = (1, 1, 1),
) -> list[Box]:
    """Boxes around the largest pieces of a mask, in voxels of a finer grid of the same volume.

    Args:
        mask: bool (D, H, W), the first stage's.
        spacing: of the mask.
        shape: voxels of the finer grid.
        margin_mm: around each piece.
        smallest_ml: smaller pieces are left out.
        most: maximum number of boxes, largest pieces first.
        at_least: minimum voxels per side, if the grid has as many: a patch of the second stage, which in
            training saw a structure's surroundings and not the padding of a smaller box.
    """
    numbered, volumes = pieces(mask, spacing)
    order = [p for p in np.argsort(-volumes[1:], kind="stable") + 1 if volumes[p] >= smallest_ml]
    found = ndimage.find_objects(numbered)
    return [
        _widened(found[piece - 1], mask.shape, spacing, shape, margin_mm, at_least) for piece in order[:most]
    ]


def _widened(
    part: Box,
    sides: Sequence[int],
    spacing: Sequence[float],
    shape: Sequence[int],
    margin_mm: float,
    at_least: Sequence[int],
) -> Box:
    """A box of one grid with its margin, in another grid; moved inwards at the border."""
    box = []
    for one, side, step, fine, least in zip(part, sides, spacing, shape, at_least, strict=True):
        margin, scale = margin_mm / step, fine / side
        low = max(0, math.floor((one.start - margin) * scale))
        high = min(fine, math.ceil((one.stop + margin) * scale))
        lacking = max(0, least - (high - low))
        low = max(0, min(low - lacking // 2, fine - least))
        box.append(slice(low, min(fine, max(high, low + least))))
    return tuple(box)


def refine(
    result: Tensor,
    image: Tensor,
    boxes: Iterable[Box],
    second: Callable[[Tensor], Tensor],
    *,
    overlapping: str = "last",
) -> Tensor:
    """Run the second stage within boxes and paste what it finds into the result, in place.

    Args:
        result: (B, K, D, H, W), which stays as it is outside of the boxes.
        image: (B, C, D, H, W).
        boxes: within (D, H, W).
        second: maps (B, C, d, h, w) to (B, K, d, h, w).
        overlapping: in a box the ``last`` findings count, or the ``highest`` of these and what is there,
            where any box's findings count.

    Raises:
        ValueError: another word for ``overlapping``.
    """
    if overlapping not in ("last", "highest"):
        raise ValueError(f"two stages: overlapping is '{overlapping}'; need 'last' or 'highest'")
    for box in boxes:
        crop = (slice(None), slice(None), *box)
        found = second(image[crop]).to(result.dtype)
        result[crop] = found if overlapping == "last" else maximum(result[crop], found)
    return result
