"""What a network and a dataset.json require of the files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from common.datasets.check.label_values import mapped

__all__ = ["Rules", "expected_file", "repair_file"]

_OFF_GRID = ("has shape", "has another affine")


@dataclass(frozen=True)
class Rules:
    """What every case is checked against; None means that anything goes.

    Attributes:
        channels: image channels that the network takes.
        classes: label values are 0 .. classes - 1.
        dims: spatial axes, 2 or 3.
        label_map: label values ``{from: to}``, applied before checking.
        declared: the labels of dataset.json by value.
        modality: the modality of each channel, of cases that do not name their own.
        labelled: the lists whose cases need a label.
        everywhere: all integer label values of the data set, after the map.
    """

    channels: int | None
    classes: int | None
    dims: int | None
    label_map: Mapping[int, int]
    declared: Mapping[int, str]
    modality: Sequence[str]
    labelled: Sequence[str]
    everywhere: frozenset[float]

    @property
    def allowed(self) -> frozenset[float]:
        """Label values that may occur after the map; empty if nothing is known about them."""
        if self.classes is not None:
            return frozenset(range(self.classes))
        return frozenset(mapped(self.declared, self.label_map))


def expected_file(error: str) -> str:
    """What a file should have been instead, by its ``error`` in the facts."""
    return "all channels of the case on one grid" if error.startswith(_OFF_GRID) else "an image"


def repair_file(error: str) -> str:
    """What to do about a file that cannot be read, by its ``error`` in the facts."""
    if error == "is missing":
        return "correct the path in dataset.json (relative to its folder), or copy the file there"
    if "the memory" in error:
        return "crop or resample it, or use a machine with more memory"
    if "truncated" in error or error == "is empty":
        return "copy or download the file again"
    if error == "is a colour picture":
        return "save each pixel's class number as 8-bit grey PNG"
    if error.startswith(_OFF_GRID):
        return "resample the channels of the case to one grid"
    return "convert it to NIfTI (.nii.gz) or PNG, or correct the path"
