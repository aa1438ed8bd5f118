"""Prostate and what lies around it in the pelvis, painted on a canvas.

Body coordinates in mm, LAS+ (x to the patient's left, y forwards, z up), origin in the middle of the
prostate.
"""

from __future__ import annotations

import numpy as np

from common.phantoms.making.shapes import Canvas, rotation_matrix
from common.phantoms.prostate.tissues import Tissue

__all__ = ["paint_pelvis", "paint_prostate"]

_CAPSULE_MM = 1.2
_HALF_AXES_MM = (24.0, 16.5, 20.0)
_SIZE_SD = 0.13  # of the logarithm
_SIZE_LIMIT = 0.2
_NODULES = (2, 7)
_LESION_CHANCE = 0.5
_BACKGROUND = (Tissue.FAT, Tissue.FASCIA, Tissue.VEIN)


def paint_pelvis(canvas: Canvas, rng: np.random.Generator, *, balloon: bool) -> np.ndarray:
    """Paint everything but the prostate; returns the rectum's middle at the prostate's height, (3,) mm."""
    for side in (-1, 1):
        _paint_side(canvas, side, rng)
    symphysis = canvas.ellipsoid(
        (0, 46 + rng.normal(0, 2), 4), (20, 11, 18), exponent=2.5, bumps=0.06, rng=rng
    )
    canvas.paint(symphysis, Tissue.BONE_RIM, over=_BACKGROUND)
    marrow = canvas.ellipsoid((0, 46, 4), (17, 8, 15), exponent=2.5, bumps=0.06, rng=rng)
    canvas.paint(marrow, Tissue.MARROW, over=[Tissue.BONE_RIM])
    plexus = canvas.ellipsoid((0, 23, 2), (17, 7, 20), bumps=0.15, rng=rng)
    canvas.paint(plexus, Tissue.VEIN, over=[Tissue.FAT])
    _paint_bladder(canvas, rng)
    for side in (-1, 1):
        angle = side * rng.uniform(14, 30)
        vesicle = canvas.ellipsoid(
            (side * rng.uniform(15, 19), -12 + rng.normal(0, 1.5), 24 + rng.normal(0, 2)),
            (16, 6, 7),
            rotation=rotation_matrix((0, -angle, angle)),
            bumps=0.16,
            rng=rng,
        )
        canvas.paint(vesicle, Tissue.VESICLE, over=_BACKGROUND)
    return _paint_rectum(canvas, rng, balloon=balloon)


def _paint_side(canvas: Canvas, side: int, rng: np.random.Generator) -> None:
    """Obturator and levator muscle, the bone behind them, vessels beside the prostate."""
    bone = (side * 64, 6 + rng.normal(0, 3), 6)
    canvas.paint(canvas.ellipsoid(bone, (18, 30, 48), bumps=0.08, rng=rng), Tissue.BONE_RIM, over=_BACKGROUND)
    canvas.paint(canvas.ellipsoid(bone, (14, 26, 44)), Tissue.MARROW, over=[Tissue.BONE_RIM])
    obturator = canvas.ellipsoid(
        (side * (43 + rng.normal(0, 1.5)), 8, 0), (8, 30, 40), exponent=2.4, bumps=0.08, rng=rng
    )
    canvas.paint(obturator, Tissue.MUSCLE, over=_BACKGROUND)
    low, gap = -46.0, rng.normal(30, 1.5)
    points = [
        (side * 9, -18, low),
        (side * 0.75 * gap, -10, -22),
        (side * gap, -8, 2),
        (side * 1.15 * gap, -8, 30),
    ]
    canvas.paint(canvas.tube(points, (4.5, 4.0, 3.0, 2.5)), Tissue.MUSCLE, over=_BACKGROUND)
    gluteal = canvas.ellipsoid((side * 34, -58, -4), (30, 20, 60), exponent=2.4, bumps=0.06, rng=rng)
    canvas.paint(gluteal, Tissue.MUSCLE, over=_BACKGROUND)
    for _ in range(int(rng.integers(2, 6))):
        at = np.array([side * rng.uniform(24, 31), rng.uniform(-14, 12), rng.uniform(-18, 18)])
        vessel = canvas.tube([at, at + (side * 2, rng.normal(0, 4), 14)], (1.8, 1.4))
        canvas.paint(vessel, Tissue.VEIN, over=[Tissue.FAT])


def _paint_bladder(canvas: Canvas, rng: np.random.Generator) -> None:
    middle = (rng.normal(0, 3), 14 + rng.normal(0, 3), 42 + rng.normal(0, 3))
    half = np.array((30.0, 22.0, 24.0)) * np.exp(rng.normal(0, 0.12))
    wall = rng.uniform(2.5, 5.0)
    canvas.paint(canvas.ellipsoid(middle, half), Tissue.BLADDER_WALL, over=_BACKGROUND)
    canvas.paint(canvas.ellipsoid(middle, half - wall), Tissue.URINE, over=[Tissue.BLADDER_WALL])


def _paint_rectum(canvas: Canvas, rng: np.random.Generator, *, balloon: bool) -> np.ndarray:
    radius = rng.uniform(15, 18) if balloon else rng.uniform(8, 13)
    x, y = rng.normal(0, 2), -17.5 - radius
    course = [(x + rng.normal(0, 2), y - 6, -48), (x, y, 0), (x + rng.normal(0, 4), y - 8, 48)]
    radii = (0.75 * radius, radius, (1.0 if balloon else 0.8) * radius)
    over = (*_BACKGROUND, Tissue.MUSCLE, Tissue.VESICLE)
    canvas.paint(canvas.tube(course, radii), Tissue.RECTAL_WALL, over=over)
    wall = 2.0 if balloon else rng.uniform(2.5, 4.0)
    canvas.paint(canvas.tube(course, radii, shrink=wall), Tissue.RECTUM, over=[Tissue.RECTAL_WALL])
    return np.array([x, y, 0.0])


def paint_prostate(canvas: Canvas, rng: np.random.Generator, *, flattened: float = 1.0) -> None:
    """Capsule, peripheral zone behind, transition zone with nodules in front, urethra, perhaps a lesion.

    Args:
        canvas: with the pelvis painted.
        rng: this case's random numbers.
        flattened: factor on its depth, since a coil presses on it.
    """
    size = np.clip(rng.normal(0, _SIZE_SD), -_SIZE_LIMIT, _SIZE_LIMIT)
    half = np.array(_HALF_AXES_MM) * np.exp(size + np.clip(rng.normal(0, 0.05, 3), -0.1, 0.1))
    half[1] *= flattened
    everything = tuple(tissue for tissue in Tissue if tissue not in (Tissue.RECTUM, Tissue.RECTAL_WALL))
    gland = canvas.ellipsoid((0, 0, 0), half, exponent=2.3, bumps=0.07, rng=rng)
    canvas.paint(gland, Tissue.CAPSULE, over=everything)
    inside = canvas.ellipsoid((0, 0, 0), half - _CAPSULE_MM, exponent=2.3)
    canvas.paint(inside, Tissue.PERIPHERAL_ZONE, over=[Tissue.CAPSULE])
    share = rng.uniform(0.55, 0.85)  # grows with age
    zone = np.array((0.0, 0.22 * half[1], 0.15 * half[2]))
    transition = canvas.ellipsoid(zone, half * (share, 0.78 * share + 0.1, 0.8), bumps=0.1, rng=rng)
    canvas.paint(transition, Tissue.TRANSITION_ZONE, over=[Tissue.PERIPHERAL_ZONE])
    for _ in range(int(rng.integers(*_NODULES))):
        at = zone + rng.uniform(-0.45, 0.45, 3) * half
        nodule = canvas.ellipsoid(
            at, rng.uniform(2.5, 7.0) * np.exp(rng.normal(0, 0.2, 3)), bumps=0.1, rng=rng
        )
        canvas.paint(nodule, Tissue.NODULE, over=[Tissue.TRANSITION_ZONE])
    urethra = canvas.tube([(0, 2, half[2]), (0, -2, 0), (0, 1, -half[2])], (2.2, 2.4, 2.0))
    canvas.paint(urethra, Tissue.URETHRA, over=[Tissue.TRANSITION_ZONE, Tissue.PERIPHERAL_ZONE])
    if rng.random() < _LESION_CHANCE:
        at = np.array((rng.choice((-1, 1)) * 0.6, -0.55, rng.uniform(-0.4, 0.3))) * half
        lesion = canvas.ellipsoid(at, rng.uniform(3.0, 7.0) * np.array((1, 0.7, 1)), bumps=0.1, rng=rng)
        canvas.paint(lesion, Tissue.LESION, over=[Tissue.PERIPHERAL_ZONE])
