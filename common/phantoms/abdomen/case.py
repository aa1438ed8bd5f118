"""One case of the abdominal phantom: a random patient, painted and scanned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from common.phantoms.abdomen.body import Habitus, paint_body
from common.phantoms.abdomen.bowel import paint_bowel
from common.phantoms.abdomen.organs import paint_organs
from common.phantoms.abdomen.tissues import ORGANS, draw_attenuation, label_of_tissue, texture_of_tissue
from common.phantoms.making.ct import SUPERSAMPLING, majority_label, scan
from common.phantoms.making.shapes import Canvas, Pose, rotation_matrix

__all__ = ["make_case", "paint_patient", "scanner_affine"]

_SPACING_SD = 0.03  # of the logarithm; in-plane and through-plane drawn separately
_SPACING_LIMIT = 0.06
_BODY_SCALE_SD = 0.05
_TILT_SD_DEG = (3.0, 3.0, 4.0)
_LOW_MM = 12.0  # the scan reaches further down than up
_PLANNING = 0.7  # the share of the diaphragm's position that the planned range follows
_OFF_CENTRE_SD_MM = (9.0, 8.0, 10.0)
_LAS_TO_WORLD = (-1, 1, 1)  # NIfTI's world is RAS+
_SCANNER_ORIGIN_MM = ((-15.0, -40.0, -900.0), (15.0, 60.0, 300.0))  # the scan's middle, lowest and highest


def make_case(
    shape: Sequence[int], spacing: Sequence[float], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw, paint and scan one patient.

    Args:
        shape: voxels (X, Y, Z).
        spacing: mm (X, Y, Z), before the case's own deviation of at most 6 percent.
        rng: this case's random numbers.

    Returns:
        image (X, Y, Z) int16 HU; label (X, Y, Z) uint8, an index into ``ORGANS``; affine (4, 4),
        voxel index to RAS+ mm.
    """
    canvas, voxel = paint_patient(shape, spacing, rng)
    image = scan(canvas.tissue, attenuation=draw_attenuation(rng), texture=texture_of_tissue(), rng=rng)
    label = majority_label(label_of_tissue()[canvas.tissue], classes=len(ORGANS))
    return image, label, scanner_affine(shape, voxel, rng)


def paint_patient(
    shape: Sequence[int], spacing: Sequence[float], rng: np.random.Generator
) -> tuple[Canvas, np.ndarray]:
    """Draw one patient and paint body, organs and bowel.

    Args:
        shape: voxels of the scan (X, Y, Z).
        spacing: mm (X, Y, Z), before the case's own deviation.
        rng: this case's random numbers.

    Returns:
        the canvas, ``SUPERSAMPLING`` times finer than the scan, and the scan's own spacing (3,) in mm.
    """
    in_plane, through = np.exp(np.clip(rng.normal(0, _SPACING_SD, 2), -_SPACING_LIMIT, _SPACING_LIMIT))
    voxel = np.asarray(spacing, float) * (in_plane, in_plane, through)
    habitus = Habitus.draw(rng)
    planned = np.array([0.0, 0.0, _LOW_MM - _PLANNING * habitus.breath])
    pose = Pose(
        rotation=rotation_matrix(rng.normal(0, _TILT_SD_DEG)),
        scale=np.exp(rng.normal(0, _BODY_SCALE_SD) * 0.7 + rng.normal(0, _BODY_SCALE_SD, 3) * 0.7),
        shift=planned + rng.normal(0, _OFF_CENTRE_SD_MM),
    )
    canvas = Canvas(np.asarray(shape) * SUPERSAMPLING, voxel / SUPERSAMPLING, pose)
    room = paint_body(canvas, habitus, rng)
    paint_organs(canvas, room, habitus.breath, rng)
    paint_bowel(canvas, room, rng)
    return canvas, voxel


def scanner_affine(shape: Sequence[int], voxel: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(4, 4), voxel index to RAS+ mm, of a scan stored as LAS somewhere in the scanner."""
    step = voxel * _LAS_TO_WORLD
    affine = np.diag([*step, 1.0])
    affine[:3, 3] = rng.uniform(*_SCANNER_ORIGIN_MM) - (np.asarray(shape) - 1) / 2 * step
    return affine
