"""The left atrium data set of semi-supervised papers: 100 scans of the 2018 Atrial Segmentation Challenge.

Raw layout, as distributed with the public UA-MT repository::

    data/train.list                                   80 ids, one a line; the first are the labelled ones
    data/test.list                                    20 ids
    data/2018LA_Seg_Training Set/<ID>/mri_norm2.h5    image float32 (X, Y, 88), label uint8, 0 or 1

Which scans are trained and tested on, and their order, is published and part of this reader; the two lists
may be missing, and are compared with the published ones where they are there.

Images are z-scored over the whole scan and then cropped around the label, the test scans' too: a
property of the benchmark.  The files hold neither spacing nor orientation; the source scans are
known to have 0.625 mm isotropic voxels, which is what the NIfTI files say.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common.datasets.raw.h5_arrays import read_h5_scan
from common.datasets.raw.prepare import RawCase, Reader
from common.datasets.raw.published_lists import cases_present, published_lists
from common.errors import InputError

__all__ = ["READER"]

_FOLDER = "2018LA_Seg_Training Set"
_FILE = "mri_norm2.h5"
_LISTS = {"training": "train.list", "test": "test.list"}
_SLICES = 88
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
        """The published 80 and 20 scans, in their order."""
        root, lists = _root(source), published_lists("la2018")
        for section, name in _LISTS.items():
            if (root / name).is_file():
                lists[section] = _listed(root / name, lists[section], partial)
        return cases_present(
            lists, lambda case: root / _FOLDER / case / _FILE, partial=partial, source=source
        )

    def read(self, source: Path, case: str) -> RawCase:
        """One scan with its label."""
        path = _root(source) / _FOLDER / case / _FILE
        image, label = read_h5_scan(path, lambda key, array: _check_array(path, key, array))
        return RawCase(image=image, label=label, affine=np.diag([_SPACING_MM] * 3 + [1.0]))


READER = _LeftAtrium()


def _root(source: Path) -> Path:
    """The folder with the scans' folder: ``source`` itself or its ``data``."""
    for root in (source, source / "data"):
        if (root / _FOLDER).is_dir():
            return root
    raise InputError(
        f"{source}: neither '{_FOLDER}' nor 'data/{_FOLDER}' is there; expected the folder that holds "
        f"'{_FOLDER}', train.list and test.list: correct --source"
    )


def _listed(path: Path, published: Sequence[str], partial: bool) -> list[str]:
    """The ids of a list of the distribution; with ``partial`` some of the published ones may be missing.

    Raises:
        InputError: it is not the published list.
    """
    try:
        ids = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); expected one id a line") from error
    if ids == (list(published) if not partial else [case for case in published if case in ids]) and ids:
        return ids
    unknown = [case for case in ids if case not in published]
    what = (
        f"names {unknown[0][:80]!r}, which the published list does not" if unknown else f"has {len(ids)} ids"
    )
    raise InputError(
        f"{path}: {what}; expected the {len(published)} published ids, once each and in their order, of "
        f"which the first are the labelled ones: restore or remove the list (the published one is taken "
        f"then), or prepare fewer cases (at least one) with  --partial true"
    )


def _check_array(path: Path, key: str, array: Any) -> None:
    if array.dtype != _DTYPES[key]:
        raise InputError(
            f"{path}: {key} has dtype {array.dtype}; expected {np.dtype(_DTYPES[key])}: "
            f"download this file again"
        )
    if len(array.shape) != 3 or array.shape[2] != _SLICES:
        hint = "its axes are in another order" if _SLICES in array.shape else "download this file again"
        raise InputError(
            f"{path}: {key} has shape {array.shape}; expected (X, Y, {_SLICES}), slices last: {hint}"
        )
