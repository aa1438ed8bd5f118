"""One case of the atrial phantom: a random patient, painted and scanned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from common.phantoms.atrium.cavity import paint_atrium
from common.phantoms.atrium.heart import paint_chest, paint_heart, paint_vessels
from common.phantoms.atrium.tissues import LABELS, draw_signal, label_of_tissue, texture_of_tissue
from common.phantoms.making.ct import SUPERSAMPLING, majority_label
from common.phantoms.making.mr import magnitude_scan
from common.phantoms.making.placement import scanner_affine
from common.phantoms.making.shapes import Canvas, Pose, rotation_matrix

__all__ = ["make_case"]

_SPACING_SD = 0.02  # of the logarithm
_SPACING_LIMIT = 0.05
_TILT_SD_DEG = (5.0, 5.0, 7.0)
_SCALE_SD = 0.05
_OFF_CENTRE_SD_MM = (8.0, 6.0, 5.0)
_SCANNER_ORIGIN_MM = ((-20.0, -30.0, -60.0), (20.0, 30.0, 60.0))  # the scan's middle, lowest and highest


def make_case(
    shape: Sequence[int], spacing: Sequence[float], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw, paint and scan one patient.

    Args:
        shape: voxels (X, Y, Z).
        spacing: mm (X, Y, Z), before the case's own deviation of at most 5 percent.
        rng: this case's random numbers.

    Returns:
        image (X, Y, Z) int16, arbitrary units from 0; label (X, Y, Z) uint8, 1 for the left atrium;
        affine (4, 4), voxel index to RAS+ mm.
    """
    factor = np.exp(np.clip(rng.normal(0, _SPACING_SD), -_SPACING_LIMIT, _SPACING_LIMIT))
    voxel = np.asarray(spacing, float) * factor
    pose = Pose(
        rotation=rotation_matrix(rng.normal(0, _TILT_SD_DEG)),
        scale=np.exp(rng.normal(0, _SCALE_SD) * 0.7 + rng.normal(0, _SCALE_SD, 3) * 0.7),
        shift=rng.normal(0, _OFF_CENTRE_SD_MM),
    )
    canvas = Canvas(np.asarray(shape) * SUPERSAMPLING, voxel / SUPERSAMPLING, pose)
    paint_chest(canvas, rng)
    paint_heart(canvas, rng)
    paint_vessels(canvas, rng)
    paint_atrium(canvas, rng)

    image = magnitude_scan(canvas.tissue, signal=draw_signal(rng), texture=texture_of_tissue(), rng=rng)
    label = majority_label(label_of_tissue()[canvas.tissue], classes=len(LABELS))
    return image, label, scanner_affine(shape, voxel, rng, middle=_SCANNER_ORIGIN_MM)
