"""Labelled cases as plain arrays, one at a time.

Axes: C channels, K classes with background first, *S spatial as in the file, (X, Y, Z) or (X, Y).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common.datasets.check.label_values import as_label_map, mapped_labels, shown_values
from common.datasets.check.rules import repair_file
from common.datasets.check.voxels import UnreadableError, Voxels, read_voxels
from common.datasets.lists.case_list import CaseList
from common.datasets.lists.cases import labelled_cases
from common.datasets.lists.datalist import DATALIST, labels_of
from common.datasets.lists.semi_supervised import semi_supervised_datalist
from common.errors import InputError
from common.pictures import label_channel

__all__ = ["Case", "LabelledData", "read_cases"]


_MOST_NAMED = 12  # label values that an option is suggested for


@dataclass(frozen=True)
class Case:
    """One labelled image: image (C, *S) float32, label (*S) int64, affine (4, 4) voxel index to RAS+ mm."""

    image: np.ndarray
    label: np.ndarray
    affine: np.ndarray


class LabelledData:
    """What a simple predictor needs of a data set: cases to fit on and cases to score, all labelled.

    The lists are those of :func:`common.datasets.semi_supervised_datalist`, without its unlabelled cases: to
    score ``validation`` where there is no such list, cases are held out for it; for other sections none are.

    Args:
        folder: a data set with dataset.json.
        section: the list to score.
        classes: K; None: one more than the highest label value that dataset.json names, after the map.
        limit: fit on at most this many cases.
        label_map: label values ``{from: to}``.

    Raises:
        InputError: there is no such data set or list, cases to score have no label, or K is not known.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        section: str,
        classes: int | None = None,
        limit: int | None = None,
        label_map: Mapping[int, int] | None = None,
    ) -> None:
        held_out = {} if section == "validation" else {"holdout": 0}
        lists = semi_supervised_datalist(folder, num_unlabelled=0, **held_out)
        self._training = lists["training"][:limit]
        self._scored = labelled_cases(lists, section, option="--section")
        self.label_map = as_label_map(label_map)
        named = mapped_labels(labels_of(folder), self.label_map)
        if not classes and not named:
            path = self._training.folder / DATALIST
            raise InputError(f"{path}: no 'labels'; add them or give their number with --classes")
        self.classes = classes or max(named) + 1

    def training(self) -> Iterator[Case]:
        """Read the cases to fit on, one at a time."""
        return read_cases(self._training, classes=self.classes, label_map=self.label_map)

    def scored(self) -> Iterator[Case]:
        """Read the cases to score, one at a time."""
        return read_cases(self._scored, classes=self.classes, label_map=self.label_map)


def read_cases(
    cases: CaseList, *, classes: int, label_map: Mapping[int, int] | None = None
) -> Iterator[Case]:
    """Read the cases of a list, one at a time.

    Args:
        cases: each with a label file.
        classes: K; label values are 0 to K - 1.
        label_map: label values ``{from: to}``, applied first.

    Raises:
        InputError: a file cannot be read, files of a case differ in shape, or a label has other values.
    """
    label_map = as_label_map(label_map)
    for case, place in zip(cases, cases.places, strict=True):
        place = f"{cases.folder / DATALIST}: {place}"
        files = case["image"] if isinstance(case["image"], list) else [case["image"]]
        images = [_read(file, f"{place}.image") for file in files]
        file = case.get("label")
        label = _read(file, f"{place}.label")
        for other, voxels in zip([*files[1:], file], [*images[1:], label], strict=True):
            if voxels.shape != images[0].shape:
                raise InputError(
                    f"{other}: has shape {voxels.shape}; expected {images[0].shape}, that of {files[0]}: "
                    "resample it"
                )
        channels = [one.scaled(channel).astype(np.float32) for one in images for channel in one.channels]
        yield Case(
            np.stack([channel.reshape(label.shape, order="F") for channel in channels]),
            _classes_of(label, file, classes, label_map).reshape(label.shape, order="F"),
            np.eye(4) if images[0].affine is None else images[0].affine,
        )


def _read(file: Any, place: str) -> Voxels:
    if not isinstance(file, str):
        raise InputError(f"{place} = {file!r}; expected the path of one file")
    try:
        return read_voxels(file)
    except UnreadableError as error:
        raise InputError(f"{place} = {file} {error}; expected an image: {repair_file(str(error))}") from error


def _classes_of(label: Voxels, file: str, classes: int, label_map: Mapping[int, int]) -> np.ndarray:
    """The label's values as class numbers, flat; raises where they are not class numbers."""
    grey = label.channels[0] if not label.mode else label_channel(np.stack(label.channels, axis=-1)[None])
    if grey is None:
        raise InputError(f"{file}: is a colour picture; {repair_file('is a colour picture')}")
    stored = label.scaled(grey.ravel())
    with np.errstate(invalid="ignore"):  # of NaN, which equals no integer
        given = np.rint(stored).astype(np.int64)
    fractions = (stored.astype(np.float32) != given) & (stored.dtype.kind == "f")
    if fractions.any():
        raise InputError(
            f"{file}: has values such as {stored[fractions][0]:g}; expected integers from 0 to {classes - 1} "
            f"(K = {classes}): resample the label with nearest neighbour instead of interpolation"
        )
    values = given.copy()
    for old, new in label_map.items():
        values[given == old] = new
    outside = (values < 0) | (values >= classes)
    if outside.any():
        bad, made = np.unique(given[outside]).tolist(), np.unique(values[outside]).tolist()
        found = shown_values(bad) + (f", mapped to {shown_values(made)}" if made != bad else "")
        renamed = {**label_map, **dict.fromkeys(bad[:_MOST_NAMED], 0)}
        more = f"--classes {values.max() + 1}  if they are classes, else  " if values.min() >= 0 else ""
        raise InputError(
            f"{file}: has values {found}; expected 0 to {classes - 1} (K = {classes}): "
            f"give  {more}--label_map '{renamed}'"
        )
    return values
