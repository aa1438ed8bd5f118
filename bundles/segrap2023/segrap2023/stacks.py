"""Files of structures: the challenge's 4D image, a label map, or a folder with one file for each structure.

    case.mha             4D, one 3D mask for each structure in the challenge's order, spacing (sx, sy, sz, 1)
    case.nii.gz          3D, the exclusive classes
    case/Brain.nii.gz    3D masks, by name

Axes: C structures, (Z, Y, X) as ITK gives them.
Source: segrap2023/docs/method.md#files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import itk
import numpy as np

from common.datasets.raw.label_volumes import Grid, check_grid
from common.datasets.raw.segrap_classes import Structures, membership
from common.errors import InputError
from common.files import atomic_path

__all__ = ["StructureFiles", "find_structures", "has_structure_files", "read_header", "write_stack"]

SUFFIXES = (".mha", ".nii.gz", ".nii", ".nrrd")


def write_stack(path: str | Path, masks: np.ndarray, affine: np.ndarray) -> None:
    """Write masks as one compressed 4D image of scalars, whole or not at all.

    Args:
        path: such as ``case.mha``.
        masks: (C, X, Y, Z), 0 or 1.  They are not copied if they are bool and lie in memory as in the file,
            X fastest.
        affine: (4, 4), index (X, Y, Z) to world in mm, RAS.

    Raises:
        InputError: the folder cannot be written to.
    """
    array = np.ascontiguousarray(masks.transpose(0, 3, 2, 1))
    array = array.view(np.uint8) if array.dtype == bool else array.astype(np.uint8, copy=False)
    image = itk.image_view_from_array(array)
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ np.asarray(affine, np.float64)
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    direction = np.eye(4)
    direction[:3, :3] = lps[:3, :3] / spacing
    image.SetSpacing([*spacing.tolist(), 1.0])
    image.SetOrigin([*lps[:3, 3].tolist(), 0.0])
    image.SetDirection(itk.matrix_from_array(direction))
    with atomic_path(path) as temporary:
        itk.imwrite(image, str(temporary), compression=True)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # all that ITK raises
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise InputError(
            f"{path}: cannot be read as an image ({lines[-1] if lines else 'ITK'}); copy it again, or write "
            "it anew"
        ) from error


def read_header(path: Path) -> tuple[Grid, int | None]:
    """Where the voxels (X, Y, Z) of a file are, and how many volumes it stacks; None for a single one.

    The affine is ITK's, index to world in mm, LPS.

    Raises:
        InputError: it cannot be read, or is no volume or stack of volumes.
    """
    with _reading(path):
        reader = itk.ImageIOFactory.CreateImageIO(str(path), itk.CommonEnums.IOFileMode_ReadMode)
        if reader is None:
            raise InputError(f"{path}: is in no format that is known; expected one of {', '.join(SUFFIXES)}")
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
    dims = reader.GetNumberOfDimensions()
    shape = [int(reader.GetDimensions(axis)) for axis in range(dims)]
    if dims not in (3, 4) or reader.GetNumberOfComponents() != 1:
        raise InputError(
            f"{path}: has {dims} axes and {reader.GetNumberOfComponents()} numbers for each voxel; expected "
            "a volume, or a 4D image with one volume for each structure"
        )
    affine = np.eye(4)
    for axis in range(3):
        affine[:3, axis] = np.array(reader.GetDirection(axis))[:3] * reader.GetSpacing(axis)
        affine[axis, 3] = reader.GetOrigin(axis)
    return Grid(path, tuple(shape[:3]), affine), shape[3] if dims == 4 else None


def _read(path: Path) -> np.ndarray:
    """The voxels, (Z, Y, X) or (C, Z, Y, X)."""
    with _reading(path):
        return itk.array_from_image(itk.imread(str(path)))


@dataclass(frozen=True)
class StructureFiles:
    """The structures of one case, in any of the three forms; made by :func:`find_structures`.

    Attributes:
        path: the file, or the folder of files.
        structures: name -> classes, in the challenge's order.
        grid: of the first file.
        files: structure -> file, in a folder; else empty.
        stacked: the file is 4D.
    """

    path: Path
    structures: Structures
    grid: Grid
    files: Mapping[str, Path]
    stacked: bool

    @property
    def spacing(self) -> tuple[float, ...]:
        """Mm, in the order (Z, Y, X)."""
        return self.grid.spacing[::-1]

    def masks(self) -> Iterator[tuple[str, np.ndarray]]:
        """Each structure's name and mask (Z, Y, X), bool; a structure without a file is empty.

        Raises:
            InputError: a file cannot be read, a mask has more than one value beside 0, or a label map one
                that is no class.
        """
        if self.files:
            for name in self.structures:
                file = self.files.get(name)
                empty = np.zeros(self.grid.shape[::-1], bool)
                yield name, empty if file is None else _mask(file, name, _read(file))
            return
        voxels = _read(self.path)
        if not self.stacked:
            _require_classes(self.path, voxels, self.structures)
            voxels = voxels.astype(np.uint8, copy=False)
        for name, channel, members in zip(self.structures, count(), membership(self.structures)):
            yield name, _mask(self.path, name, voxels[channel]) if self.stacked else members[voxels]

    @property
    def lacking(self) -> list[str]:
        """The structures without a file, in a folder; else none."""
        return [name for name in self.structures if name not in self.files] if self.files else []


def _mask(path: Path, name: str, voxels: np.ndarray) -> np.ndarray:
    low, high = voxels.min(), voxels.max()
    mask = voxels > 0
    if not (low >= 0 and np.count_nonzero(voxels == high) >= np.count_nonzero(mask)):
        raise InputError(
            f"{path}: {name} has values from {low:g} to {high:g}, more than two; expected a mask of 0 and 1: "
            "decide probabilities before they are written"
        )
    return mask


def _require_classes(path: Path, voxels: np.ndarray, structures: Structures) -> None:
    highest = membership(structures).shape[1] - 1
    low, high = voxels.min(), voxels.max()
    if not 0 <= low <= high <= highest or (voxels.dtype.kind == "f" and (voxels % 1).any()):
        raise InputError(
            f"{path}: has values from {low:g} to {high:g}; expected whole numbers from 0 to {highest}, the "
            "exclusive classes; masks go into one 4D file, or into a folder with a file for each structure"
        )


def find_structures(path: Path, structures: Structures) -> StructureFiles:
    """The structures behind a file or a folder, headers checked and no voxel read.

    Args:
        path: see the module.
        structures: name -> classes.

    Raises:
        InputError: a file cannot be read, a 4D one stacks another number of volumes, files of a folder lie on
            different grids, or none is named after a structure.
    """
    if path.is_dir():
        return _of_folder(path, structures)
    grid, stacked = read_header(path)
    if stacked is not None and stacked != len(structures):
        names = list(structures)
        raise InputError(
            f"{path}: has {stacked} channels; expected {len(names)}, one for each structure from {names[0]} "
            f"to {names[-1]} in the challenge's order"
        )
    return StructureFiles(path, structures, grid, {}, stacked is not None)


def has_structure_files(folder: Path, structures: Structures) -> bool:
    """Whether a folder holds a file that is named after a structure."""
    return bool(_by_name(folder, structures))


def _by_name(folder: Path, structures: Structures) -> dict[str, Path]:
    return {
        name: file
        for file in sorted(folder.iterdir())
        for suffix in SUFFIXES
        if file.is_file() and (name := file.name.removesuffix(suffix)) in structures
    }


def _of_folder(folder: Path, structures: Structures) -> StructureFiles:
    files = _by_name(folder, structures)
    if not files:
        names = list(structures)
        raise InputError(
            f"{folder}: has no file that is named after a structure; expected {names[0]}.nii.gz to "
            f"{names[-1]}.nii.gz"
        )
    grids = []
    for file in files.values():
        grid, stacked = read_header(file)
        if stacked is not None:
            raise InputError(f"{file}: has {stacked} channels; expected the mask of one structure")
        grids.append(grid)
        check_grid(grid, grids[0])
    return StructureFiles(folder, structures, grids[0], files, False)
