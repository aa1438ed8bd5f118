"""One case of the phantom ``head_neck``: a random patient, painted, and scanned without and with contrast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from common.phantoms.head_neck.ear import paint_ears
from common.phantoms.head_neck.head import (
    paint_brain,
    paint_orbits,
    paint_outline,
    paint_sinuses,
    paint_skull,
)
from common.phantoms.head_neck.neck import paint_jaw, paint_neck_vessels, paint_spine, paint_throat
from common.phantoms.head_neck.painter import Painter
from common.phantoms.head_neck.tissues import (
    CLASSES,
    draw_attenuation,
    gtv_of_tissue,
    label_of_tissue,
    texture_of_tissue,
)
from common.phantoms.head_neck.tumors import paint_tumors
from common.phantoms.making.ct import SUPERSAMPLING, majority_label, scan
from common.phantoms.making.placement import scanner_affine
from common.phantoms.making.shapes import Canvas, Pose, rotation_matrix

__all__ = ["HeadCase", "make_case"]

_MIDDLE_MM = (0.0, -6.0, -50.0)  # of the scan: from above the ventricles to below the thyroid
_SPACING_SD, _SPACING_LIMIT = 0.02, 0.04  # of the logarithm
_SCALE_SD, _SCALE_LIMIT = 0.03, 0.06
_TILT_SD_DEG = (4.0, 2.5, 3.5)
_OFF_CENTRE_SD_MM = (6.5, 6.5, 4.5)
_LIMIT_SD = 1.8
_NOISE_SD_HU = (8.0, 14.0)  # a head is smaller than an abdomen


@dataclass(frozen=True)
class HeadCase:
    """One pair of scans on one grid.

    Attributes:
        native: (X, Y, Z) int16 HU, without contrast agent.
        contrast: (X, Y, Z) int16 HU, with it.
        label: (X, Y, Z) uint8, 0 to 54.
        gtv: (X, Y, Z) uint8, 1 primary tumor, 2 lymph nodes.
        affine: (4, 4), voxel index to RAS+ mm.
    """

    native: np.ndarray
    contrast: np.ndarray
    label: np.ndarray
    gtv: np.ndarray
    affine: np.ndarray


def make_case(shape: Sequence[int], spacing: Sequence[float], rng: np.random.Generator) -> HeadCase:
    """Draw, paint and scan one patient.

    Args:
        shape: voxels (X, Y, Z).
        spacing: mm (X, Y, Z), before the case's own deviation of at most 4 percent.
        rng: this case's random numbers.
    """
    voxel = np.asarray(spacing, float) * np.exp(_limited(rng, _SPACING_SD, 1, _SPACING_LIMIT / _SPACING_SD))
    pose = Pose(
        rotation=rotation_matrix(_limited(rng, _TILT_SD_DEG, 3, _LIMIT_SD)),
        scale=np.exp(_limited(rng, _SCALE_SD, 3, _SCALE_LIMIT / _SCALE_SD)),
        shift=_limited(rng, _OFF_CENTRE_SD_MM, 3, _LIMIT_SD) - _MIDDLE_MM,
    )
    painter = Painter(Canvas(np.asarray(shape) * SUPERSAMPLING, voxel / SUPERSAMPLING, pose), rng)
    paint_outline(painter)
    paint_skull(painter)
    paint_spine(painter)
    paint_brain(painter)
    paint_sinuses(painter)
    paint_orbits(painter)
    paint_ears(painter)
    paint_jaw(painter)
    paint_throat(painter)
    paint_neck_vessels(painter)
    paint_tumors(painter)
    tissue, texture = painter.canvas.tissue, texture_of_tissue()
    native, contrast = (
        scan(tissue, attenuation=attenuation, texture=texture, rng=rng, noise_sd=_NOISE_SD_HU)
        for attenuation in draw_attenuation(rng)
    )
    label = majority_label(label_of_tissue()[tissue], classes=CLASSES)
    gtv = majority_label(gtv_of_tissue()[tissue], classes=3)
    return HeadCase(native, contrast, label, gtv, scanner_affine(shape, voxel, rng))


def _limited(rng: np.random.Generator, sd: float | Sequence[float], number: int, limit: float) -> np.ndarray:
    """(number,): normal deviates, at most ``limit`` of their sd."""
    return np.multiply(rng.normal(size=number).clip(-limit, limit), sd)
