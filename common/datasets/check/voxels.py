"""One image file as stored voxels: NIfTI through nibabel, PNG and other pictures through Pillow.

The stored integers are kept, with the header's slope and intercept: a CT of 512 x 512 x 600 voxels
then takes 300 MB of memory, and not 1.2 GB as float64.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from common.nifti import ClaimError, require_claimed
from common.pictures import open_upright

__all__ = ["IMAGE_SUFFIXES", "UnreadableError", "Voxels", "has_suffix", "read_voxels", "stem_of"]

_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
IMAGE_SUFFIXES = (".nii.gz", ".nii", *_PICTURES)

_TRUNCATED = re.compile(r"truncated|expected \d+ bytes|end-of-stream|ended before", re.IGNORECASE)


class UnreadableError(Exception):
    """A file that does not hold an image; the message is a predicate ("is missing")."""


@dataclass(frozen=True)
class Voxels:
    """The voxels of one file.

    Attributes:
        channels: one flat array of stored values per channel, x fastest.
        shape: spatial shape, (X, Y, Z) of the file, or (X, Y) with x to the right of a picture.
        affine: (4, 4), voxel index to RAS+ world in mm; None for a picture.
        slope: intensity = stored value * slope + intercept.
        intercept: see ``slope``.
        mode: Pillow's name of a picture's pixels, such as "RGB"; empty for NIfTI.
    """

    channels: tuple[np.ndarray, ...]
    shape: tuple[int, ...]
    affine: np.ndarray | None
    slope: float = 1.0
    intercept: float = 0.0
    mode: str = ""

    def scaled(self, stored: np.ndarray) -> np.ndarray:
        """Intensities of stored values; the array itself where the header scales nothing."""
        if self.slope == 1.0 and self.intercept == 0.0:
            return stored
        return stored * self.slope + self.intercept


def has_suffix(file: str | Path) -> bool:
    """Whether the name has an image suffix (and the file is not hidden)."""
    name = Path(file).name.lower()
    return name.endswith(IMAGE_SUFFIXES) and not name.startswith(".")


def stem_of(file: str | Path) -> str:
    """The name without its image suffix: ``case_1`` of ``case_1.nii.gz``."""
    name = Path(file).name
    for suffix in IMAGE_SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def read_voxels(file: str | Path) -> Voxels:
    """Read one NIfTI file or picture.

    Axes of a NIfTI file beyond the third (time, channels) are channels; so are red, green and blue.
    Pictures are turned upright (EXIF orientation); pixels of a palette picture are palette indices.

    Raises:
        UnreadableError: it is missing, empty, truncated, or not an image.
    """
    path = Path(file)
    if not path.is_file():
        raise UnreadableError("is a folder" if path.is_dir() else "is missing")
    try:
        if path.stat().st_size == 0:
            raise UnreadableError("is empty")
        return _read_picture(path) if path.name.lower().endswith(_PICTURES) else _read_nifti(path)
    except UnreadableError:
        raise
    except ClaimError as error:
        raise UnreadableError(f"is truncated or damaged: it {error}") from error
    except MemoryError as error:
        raise UnreadableError("is larger than the memory that is free") from error
    except Exception as error:  # the readers raise a dozen kinds; each one is a finding about the file
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        if isinstance(error, EOFError | zlib.error) or _TRUNCATED.search(reason) or _is_cut_gzip(path):
            raise UnreadableError("is truncated or damaged") from error
        raise UnreadableError(f"is not an image that can be read ({reason})") from error


def _is_cut_gzip(path: Path) -> bool:
    """Whether it is a truncated gzip file; cut in its first block, nibabel does not take it for an image."""
    with path.open("rb") as file:
        if file.read(2) != b"\x1f\x8b":
            return False
    try:
        with gzip.open(path) as file:
            deque(iter(lambda: file.read(1 << 20), b""), maxlen=0)  # to its end, keeping nothing
    except (EOFError, OSError, zlib.error):
        return True
    return False


def _read_nifti(path: Path) -> Voxels:
    image = nib.load(path)
    require_claimed(path, image.shape, image.get_data_dtype())
    stored = np.asanyarray(image.dataobj.get_unscaled())
    _demand_numbers(stored)
    shape = stored.shape[:3]
    flat = stored.reshape((int(np.prod(shape)), -1), order="F")
    return Voxels(
        channels=tuple(flat[:, channel] for channel in range(flat.shape[1])),
        shape=tuple(int(side) for side in shape),
        affine=np.asarray(image.affine, dtype=np.float64),
        slope=float(image.dataobj.slope),
        intercept=float(image.dataobj.inter),
    )


def _read_picture(path: Path) -> Voxels:
    picture = open_upright(path)
    stored = np.asarray(picture)
    stored = stored.astype(np.uint8) if stored.dtype == bool else stored
    _demand_numbers(stored)
    height, width = stored.shape[:2]
    flat = stored.reshape(height * width, -1)
    return Voxels(
        channels=tuple(flat[:, channel] for channel in range(flat.shape[1])),
        shape=(width, height),
        affine=None,
        mode=picture.mode,
    )


def _demand_numbers(stored: np.ndarray) -> None:
    if stored.dtype.kind not in "buif" or stored.size == 0:
        raise UnreadableError(f"has voxels of type {stored.dtype} and shape {stored.shape}, not numbers")
