"""Reading volumes of a raw data set, and checking them against what they have to be.

Axes: (X, Y, Z) as in the file; affine (4, 4), voxel index to RAS+ world in mm.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from common.datasets.check.voxels import UnreadableError, read_voxels, stem_of
from common.errors import InputError
from common.nifti import open_nifti, reading_nifti

__all__ = [
    "Grid",
    "check_grid",
    "check_shape",
    "read_grid",
    "read_hounsfield",
    "read_image",
    "read_label",
    "volume_file",
    "volumes_in",
]

_SUFFIXES = (".nii.gz", ".nii")

_AIR = -200  # HU; every CT of a body has air and fat below it
_FARTHEST = 0.1  # of the smallest voxel edge: headers keep affines in float32, and qforms as rotations


@dataclass(frozen=True)
class Grid:
    """Where a volume's voxels are, and the file that says so."""

    path: Path
    shape: tuple[int, ...]
    affine: np.ndarray

    @property
    def spacing(self) -> tuple[float, ...]:
        """Mm, in the order of the axes."""
        return tuple(float(s) for s in nib.affines.voxel_sizes(self.affine))


def volume_file(stem: Path) -> Path:
    """The file of a volume, ``<stem>.nii.gz`` or ``<stem>.nii``; the first, if neither is there."""
    files = [stem.with_name(f"{stem.name}{suffix}") for suffix in _SUFFIXES]
    return next((path for path in files if path.is_file()), files[0])


def volumes_in(folder: Path) -> list[str]:
    """Names of the volumes in a folder without suffixes, sorted as strings; hidden files are none."""
    files = [path for path in folder.iterdir() if path.name.endswith(_SUFFIXES) and path.name[0] not in "._"]
    return sorted(stem_of(path) for path in files)


def read_grid(path: Path) -> Grid:
    """The grid of a NIfTI file, from its header alone.

    Raises:
        InputError: not a volume with three axes, or not a NIfTI file.
    """
    image = open_nifti(path)
    shape = tuple(int(n) for n in image.shape)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 3:
        raise InputError(f"{path}: has the shape {image.shape}; expected a volume with three axes")
    return Grid(path, shape, np.asarray(image.affine, dtype=np.float64))


def check_shape(found: Grid, expected: Grid) -> None:
    """Check that two volumes have equally many voxels along each axis.

    Raises:
        InputError: the shapes differ.
    """
    if found.shape != expected.shape:
        turned = sorted(found.shape) == sorted(expected.shape)
        hint = "its axes are in another order" if turned else "was it resampled, and not back?"
        raise InputError(
            f"{found.path}: has the shape {found.shape}; expected {expected.shape}, that of {expected.path}: "
            f"{hint}"
        )


def check_grid(found: Grid, expected: Grid) -> None:
    """Check that two volumes have their voxels at the same places.

    Raises:
        InputError: the shapes differ, or a corner is off by a tenth of a voxel or more.
    """
    check_shape(found, expected)
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(found.shape) - 1)
    places = [nib.affines.apply_affine(grid.affine, corners) for grid in (found, expected)]
    apart = float(np.linalg.norm(places[0] - places[1], axis=1).max())
    if not apart < _FARTHEST * min(expected.spacing):
        raise InputError(
            f"{found.path}: its affine puts voxels up to {apart:.3g} mm from where {expected.path} has them; "
            f"expected the same affine: write it with the header of the scan"
        )


def read_image(grid: Grid) -> np.ndarray:
    """The image behind a header: (X, Y, Z) as in the file, integers as integers.

    Raises:
        InputError: the file cannot be read, or holds NaN or infinite values.
    """
    with reading_nifti(grid.path):
        image = np.asanyarray(open_nifti(grid.path).dataobj).reshape(grid.shape)
    if not np.isfinite(image).all():
        raise InputError(f"{grid.path}: {np.sum(~np.isfinite(image))} voxels are NaN or infinite")
    return image


def read_hounsfield(grid: Grid) -> np.ndarray:
    """The CT behind a header: HU (X, Y, Z), int16 where the values fit, else float32.

    Raises:
        InputError: as :func:`read_image`, or nothing is as low as air.
    """
    image = read_image(grid)
    if not image.min() < _AIR:
        raise InputError(
            f"{grid.path}: its lowest value is {image.min():g}; expected HU, with air far below {_AIR}: "
            f"stored unsigned or rescaled, download it again"
        )
    whole = np.clip(np.rint(image), -32768, 32767).astype(np.int16)
    return whole if (whole == image).all() else image.astype(np.float32)


def read_label(path: Path, *, highest: int) -> np.ndarray:
    """The voxels of a label map (X, Y, Z), uint8.

    Args:
        path: NIfTI file.
        highest: largest value allowed, up to 255.

    Raises:
        InputError: it cannot be read, or has values other than whole numbers from 0 to ``highest``.
    """
    try:
        voxels = read_voxels(path)
    except UnreadableError as error:
        raise InputError(f"{path}: {error}; expected a label map") from error
    if len(voxels.channels) != 1 or len(voxels.shape) != 3:
        raise InputError(
            f"{path}: has {len(voxels.channels)} channels of {len(voxels.shape)} axes; expected one volume "
            f"of label values, not one channel for each class"
        )
    stored = voxels.scaled(voxels.channels[0])
    low, high = stored.min(), stored.max()  # NaN if there is one
    label = stored if stored.dtype == np.uint8 else None
    if low >= 0 and high <= highest and label is None:
        label = stored.astype(np.uint8)
    if label is None or not high <= highest or (stored.dtype.kind == "f" and (label != stored).any()):
        values = np.unique(stored)
        shown = ", ".join(f"{v:g}" for v in values[:8].tolist()) + (", ..." if len(values) > 8 else "")
        raise InputError(f"{path}: has the values {shown}; expected whole numbers from 0 to {highest}")
    return label.reshape(voxels.shape, order="F")
