"""Resampling of label maps class by class, as batchgenerators does it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["resample_shares"]


def resample_shares(label: np.ndarray, resample: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Each voxel gets the class that fills at least half of it (the higher of two), else 0.

    Args:
        label: whole numbers from 0 on.
        resample: takes a mask of 0 and 1 (float64) and returns its resampled shares.

    Returns:
        Of the shape that ``resample`` returns, like ``label`` in type.
    """
    # Background need not be resampled: where it holds a half, no other class holds more.
    values = [value for value in np.unique(label) if value] or [0]
    result: np.ndarray | None = None
    for value in values:
        share = resample((label == value).astype(np.float64))
        if result is None:
            result = np.zeros(share.shape, label.dtype)
        result[share >= 0.5] = value
    assert result is not None
    return result
