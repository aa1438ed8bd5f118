"""The references to score against: a release of KiTS21, or a folder of label maps.

A release (``case_00000/aggregated_MAJ_seg.nii.gz``, ``case_00000/segmentations/...``) is scored against the
majority of its annotations, from the aggregated file or else from the annotations themselves.  A plain folder
has one label map per case, ``<case>.nii.gz``.

Axes: (Z, Y, X), as the organisers read volumes; spacing in mm in this order.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from common.datasets.raw.kits21_annotations import (
    Annotations,
    aggregate,
    aggregated_file,
    annotation_files,
    case_folders,
)
from common.datasets.raw.label_volumes import Grid, check_grid, read_grid, read_label
from common.errors import InputError
from common.evaluation.challenge.teams import files_by_stem
from kits21.regions import LABELS

__all__ = ["Reference", "find_references", "read_label_map"]

_SUFFIXES = (".nii.gz", ".nii")


@dataclass(frozen=True)
class Reference:
    """One case.

    Attributes:
        case: its name.
        label_file: its label map, if there is a file.
        folder: the case's folder in a release, if it has annotations.
    """

    case: str
    label_file: Path | None
    folder: Path | None

    @cached_property
    def files(self) -> Annotations[Path] | None:
        """The annotation files, by region, instance and annotation."""
        return None if self.folder is None else annotation_files(self.folder)

    @property
    def number(self) -> int:
        """The case's number, which seeds its samples.

        Raises:
            InputError: its name does not end in a number.
        """
        found = re.search(r"(\d+)$", self.case)
        if not found:
            raise InputError(f"{self.case}: the name ends in no number; samples need one, such as case_00012")
        return int(found[1])

    @property
    def sources(self) -> list[Path]:
        """The files that it is read from."""
        found = [] if self.label_file is None else [self.label_file]
        return found if self.folder is None else found + sorted((self.folder / "segmentations").iterdir())

    @cached_property
    def grid(self) -> Grid:
        """The grid of the case's voxels."""
        if self.label_file is not None:
            return read_grid(self.label_file)
        return read_grid(self.files["kidney"][0][0])

    @property
    def spacing(self) -> Sequence[float]:
        """Spacing in mm, (Z, Y, X)."""
        return self.grid.spacing[::-1]

    def label(self) -> np.ndarray:
        """The label map (Z, Y, X), uint8."""
        if self.label_file is not None:
            return read_label_map(self.label_file)
        return aggregate(self.annotations(), "MAJ")

    def annotations(self) -> Annotations[np.ndarray]:
        """The annotations, bool (Z, Y, X) each.

        Raises:
            InputError: there are none, or one is on another grid.
        """
        if self.files is None:
            raise InputError(f"{self.label_file}: {self.case} has a label map alone; expected annotations")
        return {
            region: [[self.mask(path) for path in one] for one in instances]
            for region, instances in self.files.items()
        }

    def mask(self, path: Path) -> np.ndarray:
        """One annotation, bool (Z, Y, X).

        Raises:
            InputError: it is on another grid, or not a mask.
        """
        check_grid(read_grid(path), self.grid)
        return read_label(path, highest=1).T.astype(bool)


def find_references(folder: str | Path) -> list[Reference]:
    """The cases in a folder, by name.

    Raises:
        InputError: it does not exist, or holds neither a release nor label maps.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give the references with --reference_dir")
    flat = files_by_stem(root, _SUFFIXES)
    if flat:
        return [Reference(case, path, None) for case, path in flat.items()]
    try:
        folders = case_folders(root)
    except InputError as error:
        raise InputError(
            f"{root}: holds neither label maps (case_00000.nii.gz) nor cases (case_00000/segmentations/); "
            f"correct --reference_dir"
        ) from error
    return [_of_release(case, path) for case, path in folders.items()]


def _of_release(case: str, folder: Path) -> Reference:
    majority = aggregated_file(folder, "MAJ")
    annotated = (folder / "segmentations").is_dir()
    if not majority.is_file() and not annotated:
        raise InputError(
            f"{folder}: has neither {majority.name} nor segmentations/; restore it from the release"
        )
    return Reference(case, majority if majority.is_file() else None, folder if annotated else None)


def read_label_map(path: Path) -> np.ndarray:
    """A label map (Z, Y, X), uint8, with the challenge's values.

    Raises:
        InputError: it cannot be read or has other values.
    """
    return read_label(path, highest=max(LABELS)).T
