"""The challenge's six numbers of a case: Dice and surface Dice of three nested regions.

Dice = 2 |P and R| / (|P| + |R|); surface Dice is the share, by area, of both surfaces that lies within the
region's tolerance.  A region in neither map scores 1 in both; one in a single map scores 0.

Source: kits21/docs/method.md#metrics.  Axes: *S three spatial axes, spacing in mm in their order.  The
organisers read volumes as (z, y, x), the reverse of a NIfTI header's order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from common.evaluation.challenge.columns import Columns
from common.evaluation.metrics.surface_elements import box_of, surface_dice
from kits21.regions import REGIONS, region_masks

__all__ = ["COLUMNS", "TABLE", "dice", "score_case"]

TABLE = Columns([region.column for region in REGIONS], ["Dice", "SD"])
COLUMNS = TABLE.names


def dice(prediction: np.ndarray, reference: np.ndarray) -> float:
    """Volumetric Dice of two bool masks (*S); 1 where both are empty."""
    both = np.count_nonzero(prediction & reference)
    total = np.count_nonzero(prediction) + np.count_nonzero(reference)
    return 2 * both / total if total else 1.0


def score_case(
    prediction: np.ndarray, reference: np.ndarray, spacing: Sequence[float]
) -> Mapping[str, float]:
    """The six numbers by column name, in the order of the challenge's table.

    Args:
        prediction: label map (*S) of whole numbers 0..3.
        reference: label map (*S) of whole numbers 0..3.
        spacing: mm, in the order of the axes.

    Raises:
        ValueError: the shapes differ.
    """
    if prediction.shape != reference.shape:
        raise ValueError(f"score: shapes {prediction.shape} and {reference.shape}; need equal ones")
    box = box_of((prediction > 0) | (reference > 0))
    if box is None:
        return dict.fromkeys(COLUMNS, 1.0)
    masks = [region_masks(label[box].astype(np.uint8)) for label in (prediction, reference)]
    overlaps, surfaces = [], []
    for region, ours, theirs in zip(REGIONS, *masks, strict=True):
        overlaps.append(dice(ours, theirs))
        agreement = surface_dice(ours, theirs, tolerance=region.tolerance, spacing=spacing)
        surfaces.append(1.0 if math.isnan(agreement) else agreement)
    return dict(zip(COLUMNS, [*overlaps, *surfaces], strict=True))
