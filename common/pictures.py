"""Picture files (PNG, JPEG, TIFF, BMP): which are taken as they are, which are converted, which are refused.

Pictures are 8-bit and upright: the orientation that a camera notes in EXIF is applied.  Grey,
palette and black-and-white pictures become RGB where a network takes three channels, and an alpha
channel is left out.  What would need a decision (16 bit, CMYK) is refused with a line that says what
to do.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from common.errors import InputError

__all__ = [
    "label_channel",
    "open_picture",
    "open_upright",
    "picture_problem",
    "read_label_picture",
    "read_picture",
]

_TO_RGB = frozenset(["RGB", "RGBA", "RGBX", "L", "LA", "P", "PA", "1", "YCbCr"])
_GREY = frozenset(["L", "LA", "1"])
_REPAIR = {
    "CMYK": "convert it to RGB with the profile of its printer (an image editor does), and save as 8-bit PNG",
    "LAB": "convert it to RGB and save as 8-bit PNG",
    "HSV": "convert it to RGB and save as 8-bit PNG",
}
_REPAIR_DEPTH = "scale its values to 0..255 and save as 8-bit PNG"


def open_upright(path: str | Path) -> Image.Image:
    """The picture, turned as its EXIF orientation says; its first frame where there are several.

    Raises:
        Exception: whatever Pillow raises; see :func:`open_picture`.
    """
    with Image.open(path) as picture:
        picture.load()
        return ImageOps.exif_transpose(picture)


def picture_problem(mode: str, channels: int) -> tuple[str, str, str] | None:
    """Why a picture cannot be read with this many channels: found, expected, repair; None if it can.

    Args:
        mode: Pillow's name of its pixels, such as "RGB", "L", "I;16".
        channels: 3, or 1 for grey.
    """
    if mode not in _TO_RGB:
        found = f"is {mode}" if mode in _REPAIR else f"has pixels of more than 8 bits ({mode})"
        return found, "an 8-bit RGB or grey picture", _REPAIR.get(mode, _REPAIR_DEPTH)
    if channels == 1 and mode not in _GREY:
        return f"is a colour picture ({mode})", "grey", "save it as 8-bit grey, or  --in_channels 3"
    return None


def read_picture(path: str | Path, channels: int = 3) -> Image.Image:
    """The picture as RGB or grey.

    Args:
        path: of the file.
        channels: 3 for RGB, 1 for grey.

    Raises:
        InputError: it cannot be read, or would need a decision; see :func:`picture_problem`.
    """
    picture = open_picture(path)
    problem = picture_problem(picture.mode, channels)
    if problem is not None:
        found, expected, repair = problem
        raise InputError(f"{path}: {found}; expected {expected}: {repair}")
    return picture.convert("RGB" if channels == 3 else "L")


def read_label_picture(path: str | Path) -> np.ndarray:
    """The class numbers (H, W) of a label picture, as stored.

    A palette's colours only name its numbers and are ignored, as is an alpha channel.  Colour channels that
    are all the same count as one.

    Raises:
        InputError: it cannot be read, or is a colour picture.
    """
    values = label_channel(np.asarray(open_picture(path)))
    if values is None:
        raise InputError(
            f"{path}: is a colour picture; expected one channel of class numbers: save each pixel's class "
            f"as 8-bit grey PNG"
        )
    return values


def label_channel(stored: np.ndarray) -> np.ndarray | None:
    """The one channel (H, W) of a label's pixels (H, W) or (H, W, C); None where colours differ."""
    if stored.ndim == 2:
        return stored.astype(np.uint8) if stored.dtype == bool else stored
    colours = stored[..., : stored.shape[2] - (stored.shape[2] in (2, 4))]
    return colours[..., 0] if (colours == colours[..., :1]).all() else None


def open_picture(path: str | Path) -> Image.Image:
    """As :func:`open_upright`.

    Raises:
        InputError: it is missing or cannot be read.
    """
    try:
        return open_upright(path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: is missing; correct the path, or copy the file there") from error
    except Exception as error:  # Pillow's readers raise a dozen kinds
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: cannot be read as a picture ({reason}); save it as 8-bit PNG") from error
