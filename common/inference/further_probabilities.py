"""Probability volumes that another program wrote, as further votes on a case.

A folder holds, for each case, ``NAME.nii.gz`` (or ``NAME_probabilities.nii.gz``, as
:mod:`common.inference.saved_probabilities` writes them): a NIfTI volume whose fourth axis is the classes, in
the order of the network's channels, with values from 0 to 1.  It may lie on any grid: its affine says where.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from torch import Tensor

from common.datasets.lists.output_names import OUTPUT_NAME, base_name
from common.errors import InputError
from common.inference.own_grid import OwnGrid, own_grid
from common.inference.votes import Vote
from common.nifti import open_nifti, reading_nifti

__all__ = ["ENDINGS", "FurtherProbabilitiesd", "read_vote"]

#: What the name of a case's file ends with; the first that is there is taken.
ENDINGS = (".nii.gz", "_probabilities.nii.gz", ".nii", "_probabilities.nii")
_ROUNDING = 1e-3  # beyond 0 and 1


class FurtherProbabilitiesd(MapTransform):
    """Append a case's volumes in some folders to its votes, for ``DecideOnOwnGridd``.

    Args:
        keys: the network's probabilities (K, *S).
        folders: one, several, or None for none.  The mean is over the network and the folders, with the
            weight 1 each.
        orig_keys: the image, with its file's name and the record of its preprocessing.
        further_key: where the votes go.

    Raises:
        InputError: a folder is not there.
    """

    def __init__(
        self,
        keys: KeysCollection,
        folders: str | Path | Sequence[str | Path] | None = None,
        *,
        orig_keys: str = "image",
        further_key: str = "further",
    ) -> None:
        super().__init__(keys)
        given = [folders] if isinstance(folders, str | Path) else list(folders or ())
        self.folders = [Path(folder) for folder in given]
        self.orig_keys, self.further_key = orig_keys, further_key
        for folder in self.folders:
            if not folder.is_dir():
                raise InputError(f"{folder}: there is no such folder; correct --further_probabilities")

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Read the volumes of a case.

        Raises:
            InputError: one is not there, or cannot be used.
        """
        result = dict(data)
        if not self.folders:
            return result
        image = result[self.orig_keys]
        grid = own_grid(image)
        for key in self.key_iterator(result):
            files = [_file_of(folder, result, image.meta["filename_or_obj"]) for folder in self.folders]
            votes = [read_vote(file, grid, channels=len(result[key])) for file in files]
            result[self.further_key] = [*result.get(self.further_key, ()), *votes]
        return result


def _file_of(folder: Path, case: Mapping[Hashable, Any], image: str) -> Path:
    name = case.get(OUTPUT_NAME) or base_name(image)
    places = [folder / f"{name}{ending}" for ending in ENDINGS]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise InputError(
            f"{places[0]}: there is no such file; expected the probabilities of {Path(image).name}: write "
            "them there, or leave --further_probabilities out"
        )
    return found


def read_vote(file: str | Path, grid: OwnGrid, *, channels: int) -> Vote:
    """The probabilities in a file.

    Args:
        file: NIfTI of shape (X, Y, Z, K).
        grid: of the scan that they are of.
        channels: K.

    Returns:
        (K, X, Y, Z), float32, on the file's own grid.

    Raises:
        InputError: the file cannot be read, has another shape, or holds values that are no probabilities.
    """
    image = open_nifti(file)
    shape = image.shape
    if len(shape) != 4 or shape[3] != channels:
        raise InputError(
            f"{file}: has the shape {' x '.join(map(str, shape))}; expected three axes of space and a fourth "
            f"of the network's {channels} channels"
        )
    with reading_nifti(file):
        values = np.moveaxis(np.asarray(image.dataobj, dtype=np.float32), -1, 0)
    low, high = float(values.min()), float(values.max())
    if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):  # NaN is refused too
        raise InputError(f"{file}: holds values from {low:g} to {high:g}; expected probabilities, 0 to 1")
    matrix = np.linalg.solve(np.asarray(image.affine, dtype=np.float64), grid.affine)
    return Vote(_tensor(values), OwnGrid(shape=grid.shape, affine=grid.affine, matrix=matrix))


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).clamp_(0, 1)
