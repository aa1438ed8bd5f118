"""The voxel spacing to train at, as nnU-Net plans it from the training cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

from common.datasets.check.facts import ImageFacts

__all__ = ["median_sides", "target_spacing"]

_ANISOTROPY = 3.0


def target_spacing(volumes: Sequence[ImageFacts], axcodes: str) -> list[float]:
    """The median spacing, but the 10th percentile along an axis of few thick slices.

    The axis whose median exceeds three times each other's, while three times its median number of voxels is
    less than each other's, gets the 10th percentile of its spacings, or a little more than the larger of the
    others where that is below it.

    Args:
        volumes: the files' facts.
        axcodes: the orientation of training, one letter for each axis.

    Returns:
        mm along the axes of ``axcodes``.
    """
    spacings = np.array([_along(one.affine, one.spacing, axcodes) for one in volumes])
    sides = np.array([_along(one.affine, one.shape, axcodes) for one in volumes])
    target, size = np.median(spacings, axis=0), np.median(sides, axis=0)
    coarse = int(np.argmax(target))
    others = [axis for axis in range(3) if axis != coarse]
    widest = target[others].max()
    if target[coarse] > _ANISOTROPY * widest and _ANISOTROPY * size[coarse] < size[others].min():
        finer = np.percentile(spacings[:, coarse], 10)
        target[coarse] = finer if finer >= widest else widest + 1e-5
    return [round(float(mm), 6) for mm in target]


def median_sides(volumes: Sequence[ImageFacts], axcodes: str, spacing: Sequence[float]) -> list[float]:
    """Voxels of the median volume along the axes of ``axcodes``, each volume resampled to the spacing."""
    extents = [
        np.multiply(_along(one.affine, one.spacing, axcodes), _along(one.affine, one.shape, axcodes))
        for one in volumes
    ]
    return np.median(np.round(np.array(extents) / np.array(spacing)), axis=0).tolist()


def _along(affine: Any, values: Sequence[float], axcodes: str) -> list[float]:
    """Numbers of a file's axes, put in the order of ``axcodes``."""
    order = ornt_transform(io_orientation(np.array(affine)), axcodes2ornt(tuple(axcodes)))
    along = [0.0] * 3
    for axis, (target, _) in enumerate(order):
        along[int(target)] = values[axis]
    return along
