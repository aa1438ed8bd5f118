"""The pelvis below the abdomen phantom's body: bones, muscles, vessels, rectum, bladder, prostate or uterus.

Body coordinates in mm, LAS+, origin in the middle of the body at the first lumbar vertebra; the pelvic floor
is about 260 mm below.
"""

from __future__ import annotations

import numpy as np

from common.phantoms.abdomen.bowel import paint_loop
from common.phantoms.abdomen.organs import Landmarks
from common.phantoms.abdomen.tissues import Tissue
from common.phantoms.abdomen_amos.tissues import Part
from common.phantoms.making.shapes import Canvas, rotation_matrix

__all__ = ["paint_pelvis"]

_FREE = (Tissue.CAVITY,)
_BOWEL = (Tissue.BOWEL_WALL, Tissue.BOWEL_FLUID, Tissue.BOWEL_SOLID, Tissue.GAS)
_SOFT = (*_FREE, *_BOWEL, Tissue.PSOAS)
_PAIRED_BONES = (  # middle and half axes on the left side, in mm; angles about x, y, z
    ((88, -28, -152), (9, 46, 46), (0, 16, -28)),  # wing of the ilium
    ((86, -4, -208), (22, 30, 30), (0, 0, 0)),  # around the hip joint
    ((56, -38, -250), (15, 17, 30), (0, 8, 0)),  # ischium
    ((26, 44, -240), (30, 9, 13), (0, 8, -16)),  # pubis
)
_RIM_MM = 3.5
_SMALL_LOOPS = (4, 9)
_FEMALE_CHANCE = 0.5
_BLADDER_MM = (34.0, 28.0, 26.0)
_FILLING_SD = 0.18  # of the logarithm of each half axis
_FILLING_LIMIT = 0.3
_PROSTATE_MM, _UTERUS_MM = (23.0, 17.0, 18.0), (25.0, 20.0, 33.0)
_SIZE_SD, _SIZE_LIMIT = 0.1, 0.2


def paint_pelvis(canvas: Canvas, landmarks: Landmarks, rng: np.random.Generator) -> None:
    """Paint everything below the abdomen's organs.

    Args:
        canvas: with the abdomen painted; only its cavity and bowel give way.
        landmarks: where the great vessels end.
        rng: draws sizes, places, sex and the bladder's filling.
    """
    _paint_bones(canvas, rng)
    _paint_muscles(canvas, rng)
    _paint_vessels(canvas, landmarks, rng)
    _paint_organs(canvas, rng)
    _paint_bowel(canvas, rng)


def _paint_bones(canvas: Canvas, rng: np.random.Generator) -> None:
    sacrum = (0, -72, -168)
    tilt = rotation_matrix((-18 + rng.normal(0, 4), 0, 0))
    parts = [(sacrum, (46, 13, 42), tilt)]
    for side in (-1, 1):
        for middle, half_axes, degrees in _PAIRED_BONES:
            turn = rotation_matrix((degrees[0], side * degrees[1], side * degrees[2]))
            parts.append((np.multiply(middle, (side, 1, 1)) + rng.normal(0, 1.5, 3), half_axes, turn))
    over = (*_SOFT, Tissue.MUSCLE, Tissue.FAT)
    for middle, half_axes, turn in parts:
        rim = canvas.ellipsoid(middle, half_axes, rotation=turn, exponent=2.4)
        canvas.paint(rim, Tissue.BONE_RIM, over=over)
    for middle, half_axes, turn in parts:
        inside = canvas.ellipsoid(middle, np.subtract(half_axes, _RIM_MM), rotation=turn, exponent=2.4)
        canvas.paint(inside, Tissue.BONE_MARROW, over=[Tissue.BONE_RIM])


def _paint_muscles(canvas: Canvas, rng: np.random.Generator) -> None:
    for side in (-1, 1):
        iliopsoas = canvas.tube(
            [(side * 42, -45, -125), (side * 54, -24, -175), (side * 62, 16, -222), (side * 66, 30, -262)],
            (20, 20, 17, 14),
        )
        canvas.paint(iliopsoas, Tissue.PSOAS, over=_FREE)
        gluteal = canvas.ellipsoid((side * 66, -78, -195), (46, 28, 66), exponent=2.4, bumps=0.06, rng=rng)
        canvas.paint(gluteal, Tissue.MUSCLE, over=_FREE)
        obturator = canvas.ellipsoid((side * 52, 4, -228), (9, 36, 36), bumps=0.08, rng=rng)
        canvas.paint(obturator, Tissue.MUSCLE, over=_FREE)
        levator = canvas.tube(
            [(side * 46, -6, -226), (side * 30, -16, -250), (side * 12, -26, -268)], (4, 4, 4)
        )
        canvas.paint(levator, Tissue.MUSCLE, over=_FREE)


def _paint_vessels(canvas: Canvas, landmarks: Landmarks, rng: np.random.Generator) -> None:
    """Common and external iliac arteries and veins: as bright as aorta and vena cava, without a label."""
    aorta = landmarks.aorta[np.argmin(landmarks.aorta[:, 2])]
    cava = landmarks.cava[np.argmin(landmarks.cava[:, 2])]
    for side in (-1, 1):
        course = np.array([(side * 32, -32, -172), (side * 48, 6, -212), (side * 52, 34, -260)])
        course = course + rng.normal(0, 2, 3)
        beside = course - (side * 4, 10, 0)
        canvas.paint(
            canvas.tube([cava, *beside], (9, 7.5, 7, 6.5)), Part.ILIAC_VEIN, over=(*_FREE, Tissue.PSOAS)
        )
        over = (*_FREE, Tissue.PSOAS, Part.ILIAC_VEIN)
        canvas.paint(canvas.tube([aorta, *course], (7, 5.5, 5, 4.5)), Part.ILIAC_ARTERY, over=over)


def _paint_organs(canvas: Canvas, rng: np.random.Generator) -> None:
    filling = np.exp(rng.normal(0, _FILLING_SD, 2).clip(-_FILLING_LIMIT, _FILLING_LIMIT))
    bladder = np.array(_BLADDER_MM) * filling[0] * (1, filling[1] ** 0.5, filling[1])
    size = np.exp(rng.normal(0, _SIZE_SD, 3).clip(-_SIZE_LIMIT, _SIZE_LIMIT))
    female = rng.random() < _FEMALE_CHANCE
    floor = -226 + rng.normal(0, 3)  # below the bladder
    middle = np.array([rng.normal(0, 3), 18 + rng.normal(0, 3), floor + bladder[2]])
    over = (*_FREE, *_BOWEL)
    if female:
        _paint_uterus(canvas, np.array(_UTERUS_MM) * size, middle, bladder, rng)
    else:
        half_axes = np.array(_PROSTATE_MM) * size
        place = (middle[0], 8 + rng.normal(0, 2), floor - 0.75 * half_axes[2])
        gland = canvas.ellipsoid(place, half_axes, exponent=2.3, bumps=0.06, rng=rng)
        canvas.paint(gland, Part.PROSTATE, over=over)
        inner = canvas.ellipsoid(np.add(place, (0, 3, 3)), half_axes * (0.65, 0.6, 0.7), bumps=0.1, rng=rng)
        canvas.paint(inner, Part.PROSTATE_INNER, over=[Part.PROSTATE])
    wall = rng.uniform(3.0, 5.0)
    outside = canvas.ellipsoid(middle, bladder, exponent=2.3)
    canvas.paint(outside, Part.BLADDER_WALL, over=over)
    canvas.paint(canvas.ellipsoid(middle, bladder - wall, exponent=2.3), Part.URINE, over=[Part.BLADDER_WALL])


def _paint_uterus(
    canvas: Canvas, half_axes: np.ndarray, bladder: np.ndarray, extent: np.ndarray, rng: np.random.Generator
) -> None:
    """Behind and above the bladder, its body bent forwards over it."""
    lean = rng.uniform(15, 55)
    turn = rotation_matrix((-lean, 0, rng.normal(0, 12)))
    place = bladder + (
        rng.normal(0, 4),
        -0.8 * extent[1] - 0.8 * half_axes[1],
        0.25 * extent[2] + rng.normal(0, 4),
    )
    body = canvas.ellipsoid(place, half_axes, rotation=turn, bumps=0.08, rng=rng)
    canvas.paint(body, Part.UTERUS, over=(*_FREE, *_BOWEL))
    lining = canvas.ellipsoid(place, half_axes * (0.5, 0.25, 0.6), rotation=turn)
    canvas.paint(lining, Part.UTERUS_LINING, over=[Part.UTERUS])


def _paint_bowel(canvas: Canvas, rng: np.random.Generator) -> None:
    """Rectum, sigmoid colon and loops of small bowel in what is left."""
    everywhere = np.ones(canvas.tissue.shape, bool)
    rectum = np.array([(0, -46, -170), (0, -42, -205), (0, -34, -240), (0, -38, -268)]) + rng.normal(0, 2, 3)
    paint_loop(canvas, everywhere, rectum, rng.uniform(11, 16), rng)
    sigmoid = np.array([(96, -10, -138), (72, 4, -158), (30, 18, -168), (8, -20, -160), (0, -46, -170)])
    paint_loop(canvas, everywhere, sigmoid + rng.normal(0, 4, (5, 3)), rng.uniform(11, 17), rng)
    for _ in range(rng.integers(*_SMALL_LOOPS, endpoint=True)):
        start = rng.uniform((-70, 0, -185), (70, 62, -120))
        steps = rng.normal(0, 1, (4, 3)) * (24, 14, 14)
        points = start + np.concatenate([np.zeros((1, 3)), np.cumsum(steps, axis=0)])
        paint_loop(canvas, everywhere, points, rng.uniform(9, 14), rng)
