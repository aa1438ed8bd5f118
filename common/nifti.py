"""Opening NIfTI files and whatever else nibabel reads, with errors that name the file.

nibabel believes the header: it asks for the memory that a damaged one claims, and raises what the
decompressor and NumPy raise.  Here the claim is compared with the file first.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from common.errors import InputError

__all__ = ["ClaimError", "open_nifti", "reading_nifti", "require_claimed"]

#: Suffix -> bytes that a byte of the file can stand for at most; Deflate's limit is 1032.
_MOST_GROWTH = {".nii": 1, ".gz": 1100}


class ClaimError(Exception):
    """The header claims more voxels than the file can hold; the message is a predicate."""


def require_claimed(path: str | Path, shape: tuple[int, ...], dtype: Any) -> None:
    """Prove that a ``.nii`` or ``.nii.gz`` is large enough for the array that its header claims.

    Raises:
        ClaimError: it is not.
    """
    size, growth = Path(path).stat().st_size, _MOST_GROWTH.get(Path(path).suffix.lower())
    claimed = math.prod((np.dtype(dtype).itemsize, *map(int, shape)))
    if growth is not None and not 0 <= claimed <= size * growth:
        sides = " x ".join(str(int(side)) for side in shape)
        raise ClaimError(f"claims {sides} voxels ({claimed} bytes), but has {size} bytes")


@contextmanager
def reading_nifti(path: str | Path) -> Iterator[None]:
    """Name the file in whatever goes wrong while nibabel reads it.

    Raises:
        InputError: anything was raised in the block.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # nibabel, NumPy and the decompressors raise a dozen kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"{path}: cannot be read as NIfTI ({reason}); copy or download it again, or write it anew"
        ) from error


def open_nifti(path: str | Path) -> Any:
    """A nibabel image, its voxels not read yet; read them within :func:`reading_nifti`.

    Raises:
        InputError: it cannot be read, or claims more voxels than it has.
    """
    with reading_nifti(path):
        image = nib.load(path)
        require_claimed(path, image.shape, image.get_data_dtype())
        np.asarray(image.affine, dtype=np.float64)
    return image
