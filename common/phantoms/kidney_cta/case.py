"""One case of the kidney angiography: a patient of the abdomen phantom, seen in a box around one kidney."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from common.phantoms.abdomen.case import Plan, paint_patient
from common.phantoms.abdomen.organs import Kidney
from common.phantoms.abdomen.tissues import Tissue
from common.phantoms.kidney_cta.tissues import Part, draw_angiogram, label_of_part, texture_of_part
from common.phantoms.kidney_cta.vessels import paint_vessels
from common.phantoms.making.ct import majority_label, scan
from common.phantoms.making.placement import scanner_affine
from common.phantoms.making.shapes import Canvas, Region

__all__ = ["make_case"]

_MIDDLE_MM = {-1: (-54.0, -38.0, -24.0), 1: (54.0, -38.0, -10.0)}  # a little before and beside the kidney
_FOLLOWS = 0.6  # the kidney moves as much with the breath
_OFF_CENTRE_SD_MM = (3.0, 3.0, 4.0)
_DEGREES = (12.0, -12.0, -28.0)  # upper pole backwards and to the spine, hilum forwards
_TUMOR_ML = (6.5, 50.0)
_CORE_FROM_ML = 18.0
_BUMPS = 0.12
_FITTING_STEPS = 3
_UNMOVED = (
    Tissue.AIR,
    Tissue.SKIN,
    Tissue.BONE_RIM,
    Tissue.BONE_MARROW,
    Tissue.CANAL,
    Tissue.DISC,
    Tissue.AORTA,
    Tissue.VENA_CAVA,
    Tissue.TABLE,
)


def make_case(
    shape: Sequence[int], spacing: Sequence[float], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw, paint and scan one kidney.

    Args:
        shape: voxels (X, Y, Z).
        spacing: mm (X, Y, Z), before the case's own deviation of at most 6 percent.
        rng: this case's random numbers.

    Returns:
        image (X, Y, Z) int16 HU; label (X, Y, Z) uint8, 0 to 4; affine (4, 4), voxel index to RAS+ mm.
    """
    side = int(rng.choice((-1, 1)))
    plan = Plan(
        middle=_MIDDLE_MM[side], follows=_FOLLOWS, off_centre=_OFF_CENTRE_SD_MM, kidney_degrees=_DEGREES
    )
    patient = paint_patient(shape, spacing, rng, plan=plan)
    canvas = patient.canvas
    paint_vessels(canvas, patient.landmarks, side, rng)
    _paint_tumor(canvas, patient.landmarks.kidneys[(side + 1) // 2], side, rng)
    image = scan(canvas.tissue, attenuation=draw_angiogram(rng), texture=texture_of_part(), rng=rng)
    label = majority_label(label_of_part()[canvas.tissue], classes=5)
    return image, label, scanner_affine(shape, patient.spacing, rng)


def _paint_tumor(canvas: Canvas, kidney: Kidney, side: int, rng: np.random.Generator) -> None:
    """A tumor within the kidney or on it, not at the hilum; it displaces what is soft."""
    way = rng.normal(size=3)
    way /= np.linalg.norm(way)
    way[0] = side * max(abs(way[0]), 0.2)
    center = kidney.at(way * rng.uniform(0.5, 0.95) * (1, 1, 0.8))
    volume_ml = float(np.exp(rng.uniform(*np.log(_TUMOR_ML))))
    over = [tissue for tissue in Tissue if tissue not in _UNMOVED]
    proportions = np.exp(rng.normal(0, 0.12, 3))
    solid = _solid_of(canvas, center, proportions, volume_ml, over, rng)
    canvas.paint(solid, Part.TUMOR, over=over)
    if volume_ml > _CORE_FROM_ML:
        radius = (750 * volume_ml / np.pi) ** (1 / 3)
        core = canvas.ellipsoid(center, radius * proportions * rng.uniform(0.35, 0.6), bumps=0.2, rng=rng)
        canvas.paint(core, Part.TUMOR_CORE, over=[Part.TUMOR])


def _solid_of(
    canvas: Canvas,
    center: np.ndarray,
    proportions: np.ndarray,
    volume_ml: float,
    over: Sequence[int],
    rng: np.random.Generator,
) -> Region:
    """A bumpy ellipsoid of which about ``volume_ml`` can be painted: what lies in bone does not count."""
    radius = (750 * volume_ml / np.pi) ** (1 / 3)
    bumps = rng.bit_generator.state
    free = np.zeros(256, bool)
    free[list(over)] = True
    for _ in range(_FITTING_STEPS):
        rng.bit_generator.state = bumps  # the same bumps at every size
        solid = canvas.ellipsoid(center, radius * proportions, bumps=_BUMPS, rng=rng)
        painted = (solid.mask & free[canvas.tissue[solid.box]]).sum() * canvas.spacing.prod() / 1000
        radius *= float(np.clip(volume_ml / max(painted, 1e-3), 0.5, 2)) ** (1 / 3)
    return solid
