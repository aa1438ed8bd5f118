"""The abdominal phantom's frame: wall, lung bases, heart, spine, ribs; none of it labelled.

Body coordinates in mm, LAS+ (x to the patient's left), origin in the middle of the body at the
height of the first lumbar vertebra.  The frame leaves the abdominal cavity as ``Tissue.CAVITY``,
for organs to fill.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.phantoms.abdomen.tissues import Tissue
from common.phantoms.making.shapes import Canvas

__all__ = ["Habitus", "below_diaphragm", "paint_body"]

_SKIN_MM = 2.5
_DIAPHRAGM_MM = 4.0
_CAVITY_Y_MM = 5.0  # the cavity's middle lies before the body's: the spine is at the back
_RECESS_MM = -25.0  # the lowest lung, behind and beside the liver
_VERTEBRA_MM = 33.0  # one vertebra with its disc
_DISC_MM = 8.0
_RIB_PAIRS = 8
_RIB_PITCH_MM = 27.0
_RIB_RADIUS_MM = 4.0


@dataclass(frozen=True)
class Habitus:
    """What differs between patients beyond size and position; lengths in mm."""

    half_width: float
    half_depth: float
    squareness: float  # exponent of the superellipse
    fat: float  # under the skin
    muscle: float
    belly: float  # relative growth of the cross-section per 100 mm downwards
    breath: float  # how far diaphragm and upper organs have moved up
    spine_phase: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Habitus:
        """A random patient."""
        return cls(
            half_width=rng.normal(137, 6),
            half_depth=rng.normal(87, 6),
            squareness=rng.uniform(2.2, 2.7),
            fat=rng.uniform(8, 30),
            muscle=rng.uniform(8, 13),
            belly=rng.uniform(-0.06, 0.06),
            breath=rng.normal(0, 11),
            spine_phase=rng.uniform(0, _VERTEBRA_MM),
        )


def below_diaphragm(canvas: Canvas, habitus: Habitus) -> np.ndarray:
    """float32 (X, Y, Z): mm below the diaphragm's two domes, negative above."""
    x, y, z = canvas.body
    depth = ((y - 12) / 97) ** 2
    right = 76 - 80 * (((x + 62) / 90) ** 2 + depth) ** 2  # flat on top, steep at the ribs
    left = 64 - 80 * (((x - 68) / 84) ** 2 + depth) ** 2
    return np.maximum(np.maximum(right, left), _RECESS_MM) + np.float32(habitus.breath) - z


def paint_body(canvas: Canvas, habitus: Habitus, rng: np.random.Generator) -> np.ndarray:
    """Paint everything but the abdominal organs; returns ``below_diaphragm``."""
    outside = _paint_wall(canvas, habitus)
    room = below_diaphragm(canvas, habitus)
    x, y, _ = canvas.body
    mediastinum = ((x - 4) / 30) ** 2 + ((y + 40) / 34) ** 2 < 1
    inside = outside < 0
    canvas.tissue[inside & (room < 0) & ~mediastinum] = Tissue.LUNG
    canvas.tissue[inside & (room >= 0) & (room < _DIAPHRAGM_MM)] = Tissue.DIAPHRAGM
    _paint_heart(canvas, habitus, room, rng)
    _paint_spine(canvas, habitus)
    _paint_ribs(canvas, habitus)
    for side in (-1, 1):
        psoas = canvas.tube(
            [(side * 24, -52, 10), (side * 33, -48, -50), (side * 42, -45, -130)], (7, 14, 20)
        )
        canvas.paint(psoas, Tissue.PSOAS, over=[Tissue.CAVITY])
    _paint_table(canvas, habitus)
    return room


def _paint_wall(canvas: Canvas, habitus: Habitus) -> np.ndarray:
    """Cavity, muscle, fat and skin; returns each voxel's mm outside the cavity (negative inside)."""
    x, y, z = canvas.body
    y = y - np.float32(_CAVITY_Y_MM)
    grow = 1 - np.float32(habitus.belly / 100) * z
    n = np.float32(habitus.squareness)
    level = np.abs(x / (grow * habitus.half_width)) ** n + np.abs(y / (grow * habitus.half_depth)) ** n
    radius = np.sqrt(x**2 + y**2) + np.float32(1e-3)
    outside = radius * (1 - np.maximum(level, np.float32(1e-6)) ** (-1 / n))
    back = np.clip(-y / radius, 0, 1) ** 4  # the long muscles of the back
    fat_from = np.float32(habitus.muscle) + 20 * back
    skin_from = fat_from + np.float32(habitus.fat) * (1 - np.float32(0.25) * back)
    canvas.tissue[outside < skin_from + _SKIN_MM] = Tissue.SKIN
    canvas.tissue[outside < skin_from] = Tissue.FAT
    canvas.tissue[outside < fat_from] = Tissue.MUSCLE
    canvas.tissue[outside < 0] = Tissue.CAVITY
    return outside


def _paint_heart(canvas: Canvas, habitus: Habitus, room: np.ndarray, rng: np.random.Generator) -> None:
    heart = canvas.ellipsoid(
        (rng.normal(18, 6), rng.normal(28, 5), 100 + habitus.breath),
        (62, 46, 52),
        bumps=0.08,
        rng=rng,
    )
    canvas.paint(heart & (room < 0), Tissue.HEART, over=[Tissue.LUNG, Tissue.CAVITY])


def _paint_spine(canvas: Canvas, habitus: Habitus) -> None:
    x, y, z = canvas.body
    back = y - (np.float32(-57) - 5 * (z / 100) ** 2)  # the column bends forwards at its middle
    body = (x / 22) ** 2 + (back / 17) ** 2
    height = np.mod(z + np.float32(habitus.spine_phase), _VERTEBRA_MM)
    disc = height < _DISC_MM
    endplate = (height < _DISC_MM + 3) | (height > _VERTEBRA_MM - 3)
    arch = (x / 17) ** 2 + ((back + 26) / 15) ** 2 < 1
    spine = (np.abs(x) < 4) & (back < -36) & (back > -54) & ~disc
    wing = (np.abs(back + 24) < 5) & (np.abs(x) < 36) & (np.abs(height - 22) < 6)
    tissue = canvas.tissue
    in_wall = tissue != Tissue.AIR
    tissue[(arch | spine | wing) & in_wall] = Tissue.BONE_RIM
    tissue[(body < 1) & in_wall] = Tissue.BONE_RIM
    tissue[(body < 0.75) & ~endplate] = Tissue.BONE_MARROW
    tissue[(body < 1) & disc] = Tissue.DISC
    tissue[(x / 11) ** 2 + ((back + 25) / 8) ** 2 < 1] = Tissue.CANAL


def _paint_ribs(canvas: Canvas, habitus: Habitus) -> None:
    for pair in range(_RIB_PAIRS):
        top = 190 - _RIB_PITCH_MM * pair  # at the spine
        length = np.clip(1.25 - 0.11 * pair, 0.35, 1)  # the lowest are short
        turn = np.deg2rad(-75 + 120 * length * np.linspace(0, 1, 14))
        fall = 75 * length * np.linspace(0, 1, 14) ** 1.3
        # a point of the superellipse in the direction `turn`, in the middle of the muscle
        power = 2 / habitus.squareness
        grow = 1 - habitus.belly / 100 * (top - fall)
        gap = habitus.muscle / 2
        along_x = (habitus.half_width * grow + gap) * np.abs(np.cos(turn)) ** power
        along_y = (habitus.half_depth * grow + gap) * np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** power
        for side in (-1, 1):
            curve = np.stack([side * along_x, along_y + _CAVITY_Y_MM, top - fall], axis=1)
            rib = canvas.tube(curve, np.full(len(curve), _RIB_RADIUS_MM))
            canvas.paint(rib, Tissue.BONE_RIM, over=[Tissue.MUSCLE, Tissue.FAT, Tissue.CAVITY, Tissue.LUNG])


def _paint_table(canvas: Canvas, habitus: Habitus) -> None:
    """The couch: a flat shell under the back, level whatever the patient's tilt."""
    back = canvas.pose.to_scan(np.array([[0.0, -habitus.half_depth - habitus.fat - 24, 0.0]]))[0, 1]
    x = canvas.axes[0][:, None, None]
    plate = np.abs(canvas.height - (np.float32(back - 14) + (x / 60) ** 2)) < 4
    canvas.tissue[(canvas.tissue == Tissue.AIR) & plate & (np.abs(x) < 200)] = Tissue.TABLE
