"""Dice and surface Dice of one structure, by the challenge's rules.

Source: segrap2023/docs/method.md#scores.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from common.evaluation.metrics.surface_elements import surface_dice

__all__ = ["METRICS", "score_structure"]

METRICS = ("DSC", "NSD")
_DECIMALS = 4


def score_structure(
    prediction: np.ndarray, reference: np.ndarray, *, spacing: Sequence[float], tolerance_mm: float
) -> dict[str, float]:
    """Both scores, from 0 to 1, rounded to four decimals.

    Two empty masks score 1, an empty one against one that is not 0.

    Args:
        prediction: (Z, Y, X), bool.
        reference: (Z, Y, X), bool.
        spacing: mm, in the order of the axes.
        tolerance_mm: how far apart surfaces may be.

    Raises:
        ValueError: the shapes differ.
    """
    if prediction.shape != reference.shape:
        raise ValueError(f"prediction {prediction.shape}, reference {reference.shape}; expected equal shapes")
    size = int(prediction.sum()) + int(reference.sum())
    if size == 0:
        return dict.fromkeys(METRICS, 1.0)
    dice = 2 * int((prediction & reference).sum()) / size
    surface = surface_dice(prediction, reference, tolerance=tolerance_mm, spacing=spacing)
    return {"DSC": round(dice, _DECIMALS), "NSD": round(surface, _DECIMALS)}
