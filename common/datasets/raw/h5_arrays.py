"""Image and label of one scan in an HDF5 file, as public distributions of prepared scans hold them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import InputError

__all__ = ["read_h5_scan"]

_KEYS = ("image", "label")
_LARGEST = 1024  # voxels along an axis


def read_h5_scan(path: Path, check: Callable[[str, Any], None]) -> tuple[np.ndarray, np.ndarray]:
    """Image and label, (X, Y, Z) each, with the dtypes of the file.

    Args:
        path: HDF5 file with the keys ``image`` and ``label``.
        check: called with the key and the array (its ``shape`` and ``dtype``) before any voxel is read;
            raises if the data set's arrays are otherwise.

    Raises:
        InputError: not such a file, an array that is not stored in it, another shape for image and label, a
            voxel that is no number, or a label with other values than 0 and 1, or without both.
    """
    try:
        import h5py
    except ImportError as error:
        raise InputError(f"{path}: reading .h5 files needs h5py:  pip install h5py") from error
    try:
        with h5py.File(path) as file:
            lacking = [key for key in _KEYS if file.get(key, getlink=True) is None]
            if lacking:
                raise InputError(
                    f"{path}: has no key '{lacking[0]}'; found {sorted(file)}, expected image and label: "
                    f"is it a file of another data set?"
                )
            image, label = (_array(path, key, file, check) for key in _KEYS)
    except InputError:
        raise
    except Exception as error:  # damaged files make h5py raise a dozen kinds
        raise InputError(f"{path}: cannot be read as HDF5 ({error}); download it again") from error
    _check_values(path, image, label)
    return image, label


def _array(path: Path, key: str, file: Any, check: Callable[[str, Any], None]) -> np.ndarray:
    """An array stored in the file itself, checked to be this data set's before any of its voxels is read."""
    link = type(file.get(key, getlink=True)).__name__
    if link != "HardLink":
        raise InputError(f"{path}: {key} is a link elsewhere ({link}); expected an array in this file")
    node = file[key]
    if not hasattr(node, "shape"):
        raise InputError(f"{path}: {key} is a {type(node).__name__.lower()}; expected an array")
    if node.shape is None:
        raise InputError(f"{path}: {key} is empty; expected an array: download this file again")
    if node.external or node.is_virtual:
        raise InputError(f"{path}: {key} has its voxels in other files; expected them in this one")
    check(key, node)
    if len(node.shape) != 3 or not all(0 < n <= _LARGEST for n in node.shape):
        raise InputError(
            f"{path}: {key} has shape {node.shape}; expected 1 to {_LARGEST} voxels along each of three "
            f"axes: download this file again"
        )
    return np.asarray(node)


def _check_values(path: Path, image: np.ndarray, label: np.ndarray) -> None:
    if image.shape != label.shape:
        raise InputError(
            f"{path}: label has shape {label.shape}, image {image.shape}; expected the same: "
            f"download this file again"
        )
    if not np.isfinite(image).all():
        raise InputError(f"{path}: image has {np.sum(~np.isfinite(image))} voxels that are NaN or infinite")
    values = np.unique(label).tolist()
    if values != [0, 1]:
        raise InputError(
            f"{path}: label has values {values}; expected both 0 (background) and 1 (the organ): "
            f"download this file again"
        )
