"""Writing one labelled picture of a phantom as a pair of 8-bit PNG files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

__all__ = ["write_labelled_picture"]


def write_labelled_picture(
    root: Path, subset: str, case: str, *, image: np.ndarray, label: np.ndarray
) -> dict[str, str]:
    """Write ``images<subset>/<case>.png`` and its label; return their entry for ``dataset.json``.

    Args:
        root: the data set's folder, with its four sub-folders.
        subset: ``Tr`` or ``Ts``.
        case: file name without its suffix.
        image: (H, W, 3) uint8, red, green and blue; H rows from the top.
        label: (H, W) uint8, the class of each pixel (not a mask of 0 and 255).
    """
    from PIL import Image  # here, so that importing the phantoms stays cheap

    entry = {}
    for key, array in (("image", image), ("label", label)):
        entry[key] = f"{key}s{subset}/{case}.png"
        Image.fromarray(np.ascontiguousarray(array, dtype=np.uint8)).save(root / entry[key], optimize=False)
    return entry
