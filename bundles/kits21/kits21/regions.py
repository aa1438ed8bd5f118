"""The challenge's nested regions ("hierarchical evaluation classes") and their tolerances.

A label map has 0 background, 1 kidney, 2 tumor, 3 cyst.  Each region holds the next one, so that a cyst
taken for a tumor counts as an error in the tumor alone.

Source: Heller et al., arXiv 2307.01984; methods card kits21, 'Labels, HECs, aggregation'.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

__all__ = ["LABELS", "REGIONS", "Region", "label_of_regions", "region_masks"]

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


def label_of_regions(regions: Tensor) -> Tensor:
    """The label map (B, 1, *S) or (1, *S), uint8, of three masks (B, 3, *S) or (3, *S).

    Painted in the order kidney_and_mass, mass, tumor; a mass that is no tumor is a cyst.
    """
    kidney, mass, tumor = (one.bool() for one in regions.split(1, dim=regions.ndim - 4))
    label = kidney.to(torch.uint8)
    label[mass] = 3
    label[tumor] = 2
    return label
