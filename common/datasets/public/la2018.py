"""The left atrium data set of semi-supervised papers: 100 scans of the 2018 Atrial Segmentation Challenge.

Raw layout, as distributed with the public UA-MT repository::

    data/train.list                                   80 ids, one a line; the first are the labelled ones
    data/test.list                                    20 ids
    data/2018LA_Seg_Training Set/<ID>/mri_norm2.h5    image float32 (X, Y, 88), label uint8, 0 or 1

Images are z-scored over the whole scan and then cropped around the label, the test scans' too: a
property of the benchmark.  The files hold neither spacing nor orientation; the source scans are
known to have 0.625 mm isotropic voxels, which is what the NIfTI files say.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from common.datasets.raw.prepare import RawCase, Reader
from common.errors import InputError

__all__ = ["READER"]

_FOLDER = "2018LA_Seg_Training Set"
_FILE = "mri_norm2.h5"
_LISTS = {"training": ("train.list", 80), "test": ("test.list", 20)}
_SLICES = 88
_LARGEST = 1024  # voxels along an axis; the source scans have 640 at most
_SPACING_MM = 0.625
_DTYPES = {"image": np.float32, "label": np.uint8}


class _LeftAtrium(Reader):
    """Reads the h5 files of the public distribution."""

    description = {
        "name": "LA2018",
        "description": (
            "Left atrium in late gadolinium-enhanced MRI, cropped around the atrium and z-scored: Atrial "
            "Segmentation Challenge 2018 as distributed with the public UA-MT repository. Spacing 0.625 mm "
            "is assumed, orientation unknown: the source files hold neither."
        ),
        "reference": "Xiong et al., Medical Image Analysis 67, 2021, doi:10.1016/j.media.2020.101832",
        "tensorImageSize": "3D",
        "modality": {"0": "LGE-MRI"},
        "labels": {"0": "background", "1": "left atrium"},
    }

    def list_cases(self, source: Path, *, partial: bool) -> dict[str, list[str]]:
        """Ids of train.list and test.list, in their order."""
        root = _root(source)
        lists = {section: _ids(root / name, count, partial) for section, (name, count) in _LISTS.items()}
        both = sorted(set(lists["training"]) & set(lists["test"]))
        if both:
            raise InputError(
                f"{root / 'test.list'}: {len(both)} of its ids are also in train.list, first {both[0]}; "
                f"expected no common id: restore both lists from the distribution"
            )
        missing = [i for ids in lists.values() for i in ids if not (root / _FOLDER / i / _FILE).is_file()]
        if missing:
            raise InputError(
                f"{root / _FOLDER / missing[0] / _FILE}: not there, but the lists name it; {len(missing)} of "
                f"{sum(map(len, lists.values()))} ids have no file: complete the download or edit the lists"
            )
        return lists

    def read(self, source: Path, case: str) -> RawCase:
        """One scan with its label."""
        path = _root(source) / _FOLDER / case / _FILE
        arrays = _arrays(path)
        image, label = arrays["image"], arrays["label"]
        if image.shape != label.shape:
            raise InputError(
                f"{path}: label has shape {label.shape}, image {image.shape}; expected the same: "
                f"download this file again"
            )
        if not np.isfinite(image).all():
            raise InputError(
                f"{path}: image has {np.sum(~np.isfinite(image))} voxels that are NaN or infinite"
            )
        values = np.unique(label).tolist()
        if values != [0, 1]:
            raise InputError(
                f"{path}: label has values {values}; expected both 0 (background) and 1 (left atrium): "
                f"download this file again"
            )
        return RawCase(image=image, label=label, affine=np.diag([_SPACING_MM] * 3 + [1.0]))


READER = _LeftAtrium()


def _root(source: Path) -> Path:
    """The folder with the lists: ``source`` itself or its ``data``."""
    for root in (source, source / "data"):
        if (root / "train.list").is_file():
            return root
    raise InputError(
        f"{source}: neither train.list nor data/train.list is there; expected the folder that holds "
        f"train.list, test.list and '{_FOLDER}': correct --source"
    )


def _ids(path: Path, expected: int, partial: bool) -> list[str]:
    try:
        ids = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); expected one id a line") from error
    if len(set(ids)) != len(ids):
        twice = next(i for i in ids if ids.count(i) > 1)
        raise InputError(f"{path}: names {twice} twice; expected every id once")
    if len(ids) != expected and not (partial and 0 < len(ids) < expected):
        raise InputError(
            f"{path}: has {len(ids)} ids; expected {expected}: restore the list from the distribution, or "
            f"prepare fewer cases (at least one) with  --partial true"
        )
    return ids


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        import h5py
    except ImportError as error:
        raise InputError("la2018: reading .h5 files needs h5py:  pip install h5py") from error
    try:
        with h5py.File(path) as file:
            lacking = [key for key in _DTYPES if file.get(key, getlink=True) is None]
            if lacking:
                raise InputError(
                    f"{path}: has no key '{lacking[0]}'; found {sorted(file)}, expected image and label: "
                    f"is it a file of another data set?"
                )
            return {key: _array(path, key, file) for key in _DTYPES}
    except InputError:
        raise
    except Exception as error:  # damaged files make h5py raise a dozen kinds
        raise InputError(f"{path}: cannot be read as HDF5 ({error}); download it again") from error


def _array(path: Path, key: str, file: Any) -> np.ndarray:
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
    _check_array(path, key, node)
    return np.asarray(node)


def _check_array(path: Path, key: str, array: Any) -> None:
    if array.dtype != _DTYPES[key]:
        raise InputError(
            f"{path}: {key} has dtype {array.dtype}; expected {np.dtype(_DTYPES[key])}: "
            f"download this file again"
        )
    if array.ndim != 3 or array.shape[2] != _SLICES:
        hint = "its axes are in another order" if _SLICES in array.shape else "download this file again"
        raise InputError(
            f"{path}: {key} has shape {array.shape}; expected (X, Y, {_SLICES}), slices last: {hint}"
        )
    if not all(0 < n <= _LARGEST for n in array.shape):
        raise InputError(
            f"{path}: {key} has shape {array.shape}; expected 1 to {_LARGEST} voxels along each axis: "
            f"download this file again"
        )
