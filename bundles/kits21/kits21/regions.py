"""The challenge's nested regions ("hierarchical evaluation classes") and their tolerances.

A label map has 0 background, 1 kidney, 2 tumor, 3 cyst.  Each region contains the next, so that a cyst taken
for a tumor is an error in the tumor region only.

Source: Heller et al., arXiv 2307.01984; kits21/docs/method.md#labels-hecs-aggregation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

__all__ = ["LABELS", "REGIONS", "Region", "label_of_regions", "nesting", "region_masks", "region_names"]

LABELS = {0: "background", 1: "kidney", 2: "tumor", 3: "cyst"}


@dataclass(frozen=True)
class Region:
    """One nested region.

    Attributes:
        name: as the challenge calls it.
        column: its part of the column names of the challenge's table.
        labels: the label values that belong to it.
        tolerance: of its surface Dice, mm; the mean disagreement of the annotators.
    """

    name: str
    column: str
    labels: tuple[int, ...]
    tolerance: float


REGIONS = (
    Region("kidney_and_mass", "kidney", (1, 2, 3), 1.0330772532390826),
    Region("mass", "masses", (2, 3), 1.1328796488598762),
    Region("tumor", "tumor", (2,), 1.1498198361434828),
)

_MEMBER = np.zeros((len(REGIONS), len(LABELS)), bool)
for _row, _region in zip(_MEMBER, REGIONS, strict=True):
    _row[list(_region.labels)] = True


def region_masks(label: np.ndarray) -> np.ndarray:
    """Bool (3, *S) of a label map (*S) of whole numbers 0..3, in the order of ``REGIONS``."""
    return _MEMBER[:, label]


NESTING = (1, 3, 2)  # the label values in painting order: region r holds those from r on


def nesting(num_classes: int) -> tuple[int, ...]:
    """The order in which the values of a label map are nested, the outermost first.

    KiTS21's four classes give (1, 3, 2), K classes (1, K - 1, ..., 2), kidney 1 and tumor 2 alone (1, 2).
    Region r holds the values from place r on.
    """
    return (1, *range(num_classes - 1, 1, -1))


def region_names(order: Sequence[int], names: Mapping[int, str]) -> dict[int, str]:
    """Region number, from 1 -> its name: the challenge's, or its classes' names joined by a plus.

    Args:
        order: label values, see :func:`nesting`.
        names: label value -> name.
    """
    if tuple(order) == NESTING:
        return {number: region.name for number, region in enumerate(REGIONS, start=1)}
    return {
        number: "+".join(names.get(v, f"class {v}") for v in order[number - 1 :])
        for number in range(1, len(order) + 1)
    }


def label_of_regions(regions: Tensor, order: Sequence[int] = NESTING) -> Tensor:
    """The label map (B, 1, *S) or (1, *S), uint8, of masks (B, R, *S) or (R, *S).

    Painted from the outermost region in; for KiTS21 kidney_and_mass, mass, tumor: a mass that is not a tumor
    is a cyst.

    Args:
        regions: the masks.
        order: label values, see :func:`nesting`.
    """
    label = torch.zeros_like(regions.narrow(regions.ndim - 4, 0, 1), dtype=torch.uint8)
    for value, region in zip(order, regions.split(1, dim=regions.ndim - 4), strict=True):
        label[region.bool()] = value
    return label
