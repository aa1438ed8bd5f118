"""What surrounds the left atrium in its phantom: lungs, spine, the other chambers, great vessels.

Body coordinates in mm, LAS+ (x to the patient's left, y forwards, z up), origin in the middle of
the left atrium.  None of it is labelled; the blood in it is as bright as the atrium's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from common.phantoms.atrium.tissues import Tissue
from common.phantoms.making.shapes import Canvas, rotation_matrix

__all__ = ["paint_chest", "paint_heart", "paint_vessels"]

_WALL_MM = 2.2
_LUNG_VESSELS = (10, 22)  # fewest, most, on each side
_NARROWEST_MM = 2.5
_VESSELS = (  # radius, its sd between patients, points on the course, all in mm
    (Tissue.AORTA, 15, 1.5, ((10, 38, -14), (0, 35, 4), (-9, 36, 26), (-10, 38, 60))),  # root and rise
    (Tissue.PULMONARY_ARTERY, 12.5, 1, ((28, 55, -2), (28, 46, 18), (16, 24, 33), (6, 8, 36))),  # trunk
    (Tissue.PULMONARY_ARTERY, 9.5, 1, ((14, 20, 34), (-8, 8, 33), (-34, 2, 30), (-58, -4, 26))),  # right
    (Tissue.PULMONARY_ARTERY, 9.5, 1, ((10, 10, 36), (34, -6, 36), (50, -18, 30))),  # left
    (Tissue.AORTA, 12, 1.3, ((26, -44, -60), (24, -42, 0), (21, -42, 60))),  # descending
    (Tissue.VENA_CAVA, 9, 1.2, ((-38, 22, 0), (-36, 22, 24), (-35, 24, 60))),  # superior
    (Tissue.VENA_CAVA, 11, 1.2, ((-36, 8, -60), (-38, 14, -40), (-42, 24, -24))),  # inferior
    (Tissue.CORONARY_SINUS, 4, 0.6, ((38, -4, -20), (20, -18, -24), (-6, -14, -26), (-30, 10, -24))),
)
_SOFT = (Tissue.MEDIASTINUM, Tissue.LUNG, Tissue.LUNG_VESSEL, Tissue.MUSCLE)
_OVER_HEART = (*_SOFT, Tissue.MYOCARDIUM, Tissue.VESSEL_WALL)


def paint_chest(canvas: Canvas, rng: np.random.Generator) -> None:
    """Lungs with their vessels on both sides, spine and muscles at the back, oesophagus."""
    for side in (-1, 1):
        lung = canvas.ellipsoid(
            (side * rng.normal(84, 4), rng.normal(-18, 4), 0), (46, 62, 90), exponent=2.6, bumps=0.08, rng=rng
        )
        canvas.paint(lung, Tissue.LUNG, over=[Tissue.MEDIASTINUM])
        recess = canvas.ellipsoid((side * 38, -46, -4), (22, 15, 70), bumps=0.1, rng=rng)
        canvas.paint(recess, Tissue.LUNG, over=[Tissue.MEDIASTINUM])
        for _ in range(rng.integers(*_LUNG_VESSELS, endpoint=True)):
            start = np.array([side * rng.uniform(44, 75), rng.uniform(-45, 25), rng.uniform(-35, 35)])
            way = np.array([side * rng.uniform(4, 14), rng.normal(-4, 10), rng.normal(0, 10)])
            radius = rng.uniform(1.2, 3.2)
            vessel = canvas.tube([start, start + way], (radius, 0.6 * radius))
            canvas.paint(vessel, Tissue.LUNG_VESSEL, over=[Tissue.LUNG])
    middle = rng.normal(-4, 4)
    muscle = canvas.ellipsoid((middle, -72, 0), (58, 24, 120), exponent=2.5)
    canvas.paint(muscle, Tissue.MUSCLE, over=[Tissue.MEDIASTINUM, Tissue.LUNG])
    spine = canvas.tube([(middle, -62, -90), (middle, -60, 0), (middle, -62, 90)], (17, 16, 17))
    canvas.paint(spine, Tissue.BONE, over=_SOFT)
    x, y = rng.normal(6, 5), rng.normal(-29, 2)
    gullet = canvas.tube([(x + 3, y + 2, -60), (x, y, 0), (x - 3, y - 2, 60)], rng.uniform(5.5, 9.0, 3))
    canvas.paint(gullet, Tissue.OESOPHAGUS, over=_SOFT)


def paint_heart(canvas: Canvas, rng: np.random.Generator) -> None:
    """Both ventricles and the right atrium, each with its wall."""
    turn = rotation_matrix((0, rng.normal(20, 6), rng.normal(-38, 6)))
    left = np.array([34, 50, -26]) + rng.normal(0, 3, 3)
    _paint_chamber(canvas, left, (27, 46, 27), 9.0, Tissue.LEFT_VENTRICLE, rng, rotation=turn)
    right = np.array([-14, 62, -28]) + rng.normal(0, 4, 3)
    _paint_chamber(canvas, right, (34, 30, 30), 3.5, Tissue.RIGHT_VENTRICLE, rng)
    atrium = np.array([-42, 30, -14]) + rng.normal(0, 4, 3)
    half_axes = np.array([24, 25, 31]) * np.exp(rng.normal(0, 0.12))
    _paint_chamber(canvas, atrium, half_axes, _WALL_MM, Tissue.RIGHT_ATRIUM, rng)


def paint_vessels(canvas: Canvas, rng: np.random.Generator) -> None:
    """Aorta (root and ascending part, descending part), pulmonary artery, cavae, coronary sinus."""
    move = rng.normal(0, 2.5, 3)
    for tissue, radius, spread, points in _VESSELS:
        drawn = max(rng.normal(radius, spread), _NARROWEST_MM)
        _paint_vessel(canvas, np.array(points) + move + rng.normal(0, 1.5, 3), drawn, tissue)


def _paint_chamber(
    canvas: Canvas,
    center: np.ndarray,
    half_axes: Sequence[float],
    wall_mm: float,
    blood: Tissue,
    rng: np.random.Generator,
    rotation: np.ndarray | None = None,
) -> None:
    state = rng.bit_generator.state
    outer = canvas.ellipsoid(center, np.add(half_axes, wall_mm), rotation=rotation, bumps=0.06, rng=rng)
    rng.bit_generator.state = state  # the same bumps inside as outside
    inner = canvas.ellipsoid(center, half_axes, rotation=rotation, bumps=0.06, rng=rng)
    canvas.paint(outer, Tissue.MYOCARDIUM, over=_SOFT)
    canvas.paint(inner, blood, over=_OVER_HEART)


def _paint_vessel(canvas: Canvas, points: np.ndarray, radius: float, blood: Tissue) -> None:
    radii = np.full(len(points), radius + _WALL_MM)
    canvas.paint(canvas.tube(points, radii), Tissue.VESSEL_WALL, over=_SOFT)
    lumen = canvas.tube(points, radii, shrink=_WALL_MM)
    canvas.paint(lumen, blood, over=(*_OVER_HEART, Tissue.OESOPHAGUS))
