"""The two functions that MONAI Label imports from here: a grid of pictures, and its PNG.

They do what the functions of the same name do, with PyTorch and Pillow alone.
Axes: B pictures, C channels (1 or 3), (H, W).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import torch
from PIL import Image
from torch import Tensor

__all__ = ["make_grid", "save_image"]


def make_grid(
    tensor: Tensor | Sequence[Tensor],
    nrow: int = 8,
    padding: int = 2,
    normalize: bool = False,
    value_range: tuple[float, float] | None = None,
    scale_each: bool = False,
    pad_value: float = 0.0,
) -> Tensor:
    """Lay pictures out in rows.

    Args:
        tensor: (B, C, H, W), (C, H, W), (H, W), or a list of (C, H, W) of one size.
        nrow: pictures in a row.
        padding: pixels around each picture.
        normalize: shift and scale to 0..1.
        value_range: what becomes 0 and 1 then; by default the smallest and the largest value.
        scale_each: take these of each picture instead of all.
        pad_value: between the pictures.

    Returns:
        (3, H', W'); a single picture comes back without padding.
    """
    pictures = _batch(tensor).clone()
    if normalize:
        for group in pictures if scale_each else (pictures,):
            low, high = value_range or (float(group.min()), float(group.max()))
            group.clamp_(low, high).sub_(low).div_(max(high - low, 1e-5))
    if len(pictures) == 1:
        return pictures[0]
    columns = min(nrow, len(pictures))
    rows = -(-len(pictures) // columns)
    height, width = (size + padding for size in pictures.shape[-2:])
    shape = (3, rows * height + padding, columns * width + padding)
    grid = pictures.new_full(shape, pad_value)
    for place, picture in enumerate(pictures):
        top, left = place // columns * height + padding, place % columns * width + padding
        grid[:, top : top + height - padding, left : left + width - padding] = picture
    return grid


def save_image(tensor: Tensor | Sequence[Tensor], fp: str | Path | BinaryIO, format: Any = None, **grid: Any):
    """Write a grid of pictures with values 0..1 (others are clipped) as an 8-bit picture file.

    Args:
        tensor: as in :func:`make_grid`.
        fp: file name, or a file open for writing.
        format: of Pillow; by default that of the name's ending.
        grid: further arguments of :func:`make_grid`.
    """
    pixels = make_grid(tensor, **grid).mul(255).add(0.5).clamp(0, 255).to("cpu", torch.uint8)
    Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(fp, format=format)


def _batch(tensor: Tensor | Sequence[Tensor]) -> Tensor:
    """(B, 3, H, W); grey pictures get three equal channels."""
    batch = tensor if isinstance(tensor, Tensor) else torch.stack(list(tensor))
    while batch.ndim < 4:
        batch = batch.unsqueeze(0)
    return batch.expand(-1, 3, -1, -1) if batch.shape[1] == 1 else batch
