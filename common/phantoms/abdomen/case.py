"""One case of the abdominal phantom: a random patient, painted and scanned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from common.phantoms.abdomen.body import Habitus, paint_body
from common.phantoms.abdomen.bowel import BOWEL, Gut, paint_bowel
from common.phantoms.abdomen.organs import KIDNEY_DEG, NO_GALLBLADDER_CHANCE, Landmarks, paint_organs
from common.phantoms.abdomen.tissues import ORGANS, draw_attenuation, label_of_tissue, texture_of_tissue
from common.phantoms.making.ct import SUPERSAMPLING, majority_label, scan
from common.phantoms.making.placement import scanner_affine
from common.phantoms.making.shapes import Canvas, Pose, rotation_matrix

__all__ = ["UPPER_ABDOMEN", "Patient", "Plan", "make_case", "paint_patient"]

_SPACING_SD = 0.03  # of the logarithm; in-plane and through-plane drawn separately
_SPACING_LIMIT = 0.06
_BODY_SCALE_SD = 0.05
_TILT_SD_DEG = (3.0, 3.0, 4.0)


@dataclass(frozen=True)
class Plan:
    """What a phantom of this body scans, and where it differs from the phantom ``abdomen``.

    Attributes:
        middle: the body point in the middle of the scan, in mm.
        follows: the share of the diaphragm's shift that the scan's range follows.
        off_centre: sd of the scan's place, in mm.
        no_gallbladder: chance that it has been removed.
        kidney_degrees: see :func:`common.phantoms.abdomen.organs.paint_organs`.
        duodenum: what it is made of.
    """

    middle: tuple[float, float, float] = (0.0, 0.0, -12.0)  # the scan reaches further down than up
    follows: float = 0.7
    off_centre: tuple[float, float, float] = (9.0, 8.0, 10.0)
    no_gallbladder: float = NO_GALLBLADDER_CHANCE
    kidney_degrees: tuple[float, float, float] = KIDNEY_DEG
    duodenum: Gut = BOWEL


UPPER_ABDOMEN = Plan()


@dataclass(frozen=True)
class Patient:
    """A painted patient.

    Attributes:
        canvas: ``SUPERSAMPLING`` times finer than the scan.
        spacing: (3,) mm, the scan's own.
        habitus: size and shape.
        room: float32, (X, Y, Z) of the canvas: mm below the diaphragm.
        landmarks: where organs lie, in body coordinates.
    """

    canvas: Canvas
    spacing: np.ndarray
    habitus: Habitus
    room: np.ndarray
    landmarks: Landmarks


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
    patient = paint_patient(shape, spacing, rng)
    tissue = patient.canvas.tissue
    image = scan(tissue, attenuation=draw_attenuation(rng), texture=texture_of_tissue(), rng=rng)
    label = majority_label(label_of_tissue()[tissue], classes=len(ORGANS))
    return image, label, scanner_affine(shape, patient.spacing, rng)


def paint_patient(
    shape: Sequence[int], spacing: Sequence[float], rng: np.random.Generator, *, plan: Plan = UPPER_ABDOMEN
) -> Patient:
    """Draw one patient and paint body, organs and bowel.

    Args:
        shape: voxels of the scan (X, Y, Z).
        spacing: mm (X, Y, Z), before the case's own deviation.
        rng: this case's random numbers.
        plan: what is scanned.
    """
    in_plane, through = np.exp(np.clip(rng.normal(0, _SPACING_SD, 2), -_SPACING_LIMIT, _SPACING_LIMIT))
    voxel = np.asarray(spacing, float) * (in_plane, in_plane, through)
    habitus = Habitus.draw(rng)
    planned = -np.array(plan.middle) - (0.0, 0.0, plan.follows * habitus.breath)
    pose = Pose(
        rotation=rotation_matrix(rng.normal(0, _TILT_SD_DEG)),
        scale=np.exp(rng.normal(0, _BODY_SCALE_SD) * 0.7 + rng.normal(0, _BODY_SCALE_SD, 3) * 0.7),
        shift=planned + rng.normal(0, plan.off_centre),
    )
    canvas = Canvas(np.asarray(shape) * SUPERSAMPLING, voxel / SUPERSAMPLING, pose)
    room = paint_body(canvas, habitus, rng)
    landmarks = paint_organs(
        canvas,
        room,
        habitus.breath,
        rng,
        no_gallbladder=plan.no_gallbladder,
        kidney_degrees=plan.kidney_degrees,
    )
    paint_bowel(canvas, room, rng, duodenum=plan.duodenum)
    return Patient(canvas, voxel, habitus, room, landmarks)
