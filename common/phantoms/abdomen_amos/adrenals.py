"""Adrenal glands: two thin limbs above each kidney, in the fat between it and its neighbours.

Body coordinates in mm, LAS+.
"""

from __future__ import annotations

import numpy as np

from common.phantoms.abdomen.case import Patient
from common.phantoms.abdomen.organs import point_at
from common.phantoms.abdomen.tissues import Tissue
from common.phantoms.abdomen_amos.tissues import DUODENUM, Part
from common.phantoms.making.shapes import rotation_matrix

__all__ = ["paint_adrenals"]

_ABOVE_THE_POLE_MM = 4.0
_BESIDE_MM = {-1: (-19.0, -24.0), 1: (20.0, -2.0)}  # x, y from the vena cava (right), the aorta (left)
_BELOW_DIAPHRAGM_MM = 18.0  # at least
_HALF_AXES_MM = (3.7, 12.0, 13.0)
_SPREAD_DEG = 24.0  # of each limb from the middle
_FAT_MM = 4.0
_SIZE_SD, _PLACE_SD_MM = 0.1, 2.5
_CORTEX = (Tissue.RIGHT_CORTEX, Tissue.LEFT_CORTEX)
_GIVES_WAY = (
    Tissue.CAVITY,
    Tissue.RENAL_FAT,
    Tissue.LIVER,
    Tissue.SPLEEN,
    Tissue.PANCREAS,
    Tissue.STOMACH_WALL,
    Tissue.STOMACH_CONTENT,
    Tissue.STOMACH_GAS,
    Tissue.BOWEL_WALL,
    Tissue.BOWEL_FLUID,
    Tissue.BOWEL_SOLID,
    Tissue.GAS,
    Tissue.DIAPHRAGM,
    Tissue.PSOAS,
    *DUODENUM,
)


def paint_adrenals(patient: Patient, rng: np.random.Generator) -> None:
    """Paint both glands.

    Args:
        patient: with all neighbours painted; they give way.
        rng: draws places and sizes.
    """
    canvas = patient.canvas
    for side, gland in ((-1, Part.RIGHT_ADRENAL), (1, Part.LEFT_ADRENAL)):
        apex = _apex(patient, side) + rng.normal(0, _PLACE_SD_MM, 3)
        half_axes = np.array(_HALF_AXES_MM) * np.exp(rng.normal(0, _SIZE_SD))
        limbs = []
        for limb in (-1, 1):
            turn = rotation_matrix((0, limb * 12 + rng.normal(0, 4), limb * _SPREAD_DEG + rng.normal(0, 5)))
            limbs.append((apex + turn @ (0, -0.6 * half_axes[1], 0), turn))  # they meet in front
        for middle, turn in limbs:
            bed = canvas.ellipsoid(middle, half_axes + _FAT_MM, rotation=turn)
            canvas.paint(bed, Tissue.RENAL_FAT, over=_GIVES_WAY)
        for middle, turn in limbs:
            limb_solid = canvas.ellipsoid(middle, half_axes, rotation=turn)
            canvas.paint(limb_solid, gland, over=[Tissue.RENAL_FAT, *_CORTEX])


def _apex(patient: Patient, side: int) -> np.ndarray:
    """(3,) mm: above the kidney, beside the great vessel, below the diaphragm."""
    marks = patient.landmarks
    pole = marks.kidneys[(side + 1) // 2].at((0, 0, 1))
    height = pole[2] + _ABOVE_THE_POLE_MM
    vessel = point_at(marks.aorta if side > 0 else marks.cava, height)
    place = vessel + (*_BESIDE_MM[side], 0)
    below = patient.room[patient.canvas.nearest(place)]
    return place - (0, 0, max(_BELOW_DIAPHRAGM_MM - below, 0))
