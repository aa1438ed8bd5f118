"""Outline, skull, brain, orbits and sinuses of the phantom ``head_neck``."""

from __future__ import annotations

import numpy as np

from common.phantoms.head_neck.painter import LEFT_RIGHT, SOFT, Painter
from common.phantoms.head_neck.tissues import Part, Tissue

__all__ = ["paint_brain", "paint_orbits", "paint_outline", "paint_sinuses", "paint_skull"]

_SKIN_MM = 2.0
_OUTLINE = (  # middle, half axes, exponent: cranium, base of the head, face, neck
    ((0, -10, 24), (72, 90, 74), 2.0),
    ((0, -12, -22), (67, 80, 52), 2.2),
    ((0, 20, -38), (58, 60, 66), 2.0),
    ((0, -24, -120), (57, 56, 112), 3.0),
)
_SKULL = ((0, -10, 24), (67.5, 85.5, 69.5))
_SKULL_MM, _FLUID_MM = 6.0, 2.5
_FLOOR_MM = 7.0  # bone below the brain
_DEEP = (Tissue.FAT, Tissue.MUSCLE, Tissue.MUCOSA, Tissue.BONE)


def paint_outline(painter: Painter) -> None:
    """Skin, fat and muscle of head and neck."""
    fat = painter.rng.uniform(3, 8)
    for tissue, depth in ((Tissue.SKIN, 0.0), (Tissue.FAT, _SKIN_MM), (Tissue.MUSCLE, _SKIN_MM + fat)):
        for middle, half_axes, exponent in _OUTLINE:
            region = painter.canvas.ellipsoid(middle, np.subtract(half_axes, depth), exponent=exponent)
            painter.paint(region, tissue, (Tissue.AIR, Tissue.SKIN, Tissue.FAT))


def paint_skull(painter: Painter) -> None:
    """Skull, fluid and brain down to the three fossae; below the middle one lie muscles."""
    canvas = painter.canvas
    middle, half_axes = _SKULL
    x, y, z = canvas.body
    lateral = np.abs(x) > 14
    floor = np.where(y > 22, 8, np.where(lateral, np.where(y > -26, -15, -42), np.where(y > -6, 2, -42)))
    shell = canvas.ellipsoid(middle, half_axes)
    painter.paint(shell & (z > floor - _FLOOR_MM), Tissue.BONE, (*SOFT, Tissue.SKIN))
    for depth, tissue in ((_SKULL_MM, Tissue.FLUID), (_SKULL_MM + _FLUID_MM, Part.BRAIN)):
        inside = canvas.ellipsoid(middle, np.subtract(half_axes, depth))
        above = z > floor + (depth - _SKULL_MM)
        painter.paint(inside & above, tissue, (Tissue.BONE, Tissue.FLUID))


def paint_brain(painter: Painter) -> None:
    """Lobes, ventricles, brain stem, hippocampi, chiasm and pituitary."""
    canvas, rng = painter.canvas, painter.rng
    for side in LEFT_RIGHT:
        lobe = painter.solid(painter.near((side * 43, 0, 4)), (17, 38, 19), bumps=0.06)
        painter.paint(lobe, Part.TEMPORAL_LOBE.on(side), [Part.BRAIN])
        points = np.array([(side * 9, 26, 24), (side * 10, -14, 29), (side * 17, -36, 20)])
        horn = canvas.tube(painter.near((0, 0, 0)) + points, rng.uniform(3.5, 6.5) * np.array([1, 1, 0.9]))
        painter.paint(horn, Tissue.VENTRICLE, [Part.BRAIN])
    stem = np.array([(0, -14, 14), (0, -14, 0), (0, -15.5, -14), (0, -22, -34)]) + painter.near((0, 0, 0))
    room = canvas.tube(stem, (13, 15, 15, 10.5))
    painter.paint(room & (canvas.body[1] > -18), Tissue.FLUID, [Part.BRAIN])
    radii = painter.sized((10.5, 13, 12.5, 7.5))
    painter.paint(canvas.tube(stem, radii), Part.BRAIN_STEM, (Part.BRAIN, Tissue.FLUID, Tissue.BONE))
    fourth = painter.solid(painter.near((0, -31, -12)), (7, 3.5, 8))
    painter.paint(fourth, Tissue.VENTRICLE, [Part.BRAIN])
    for side in LEFT_RIGHT:
        _paint_hippocampus(painter, side)
    cistern = painter.solid((0, 2, 9), (13, 11, 8))
    painter.paint(cistern, Tissue.FLUID, (Part.BRAIN, Tissue.BONE))
    gland = painter.solid(painter.near((0, -1.5, -2), sd=0.6), (6.6, 5.6, 4.8))
    painter.paint(gland, Part.PITUITARY, (Tissue.BONE, Tissue.FLUID, Part.BRAIN))


def _paint_hippocampus(painter: Painter, side: int) -> None:
    """From the temporal lobe, in whose inner part its head lies, backwards and inwards."""
    points = np.array([(side * 30, 8, -3), (side * 28.5, -8, 0), (side * 25, -22, 5), (side * 18, -34, 12)])
    curve = points + painter.near((0, 0, 0), sd=0.8)
    body = painter.canvas.tube(curve, painter.sized((6.2, 5.5, 5.0, 4.2)))
    inside, outside = Part.HIPPOCAMPUS_INSIDE.on(side), Part.HIPPOCAMPUS_OUTSIDE.on(side)
    lobe = Part.TEMPORAL_LOBE.on(side)
    painter.split(body, {lobe: inside, Part.BRAIN: outside, Tissue.FLUID: outside, Tissue.VENTRICLE: outside})


def paint_orbits(painter: Painter) -> None:
    """Eyes with lenses, optic nerves to the chiasm, muscles and fat."""
    canvas = painter.canvas
    chiasm = painter.near((0, 3, 7.5), sd=0.7)
    for side in LEFT_RIGHT:
        cone = (side * 30, 40, 2)
        brain = (Part.BRAIN, *painter.classes(Part.TEMPORAL_LOBE), Tissue.FLUID)
        painter.paint(canvas.ellipsoid(cone, (20.5, 32, 20)), Tissue.BONE, (*SOFT, *brain))
        fat = canvas.ellipsoid(cone, (18, 30, 17.5))
        painter.paint(fat, Tissue.FAT, (*_DEEP, Tissue.SKIN))
        eye = painter.near((side * 31, 52, 2), sd=1.0)
        for way in ((12, 0, 0), (-12, 0, 0), (0, 0, 12), (0, 0, -12)):
            strap = canvas.tube(
                [eye + way, eye + np.multiply(way, 0.8) - (side * 4, 18, 0), (side * 17, 22, 4)],
                (2, 2.4, 1.6),
            )
            painter.paint(strap, Tissue.MUSCLE, [Tissue.FAT])
        nerve = [
            eye - (side * 1.5, 10, 0.5),
            eye - (side * 6, 22, 0),
            (side * 15, 17, 5),
            chiasm + (side * 5, 2.5, 0),
        ]
        course = canvas.tube(nerve, (2.5, 2.4, 2.4, 2.4))
        painter.paint(course, Part.OPTIC_NERVE.on(side), (*_DEEP, *brain))
        radius = painter.sized((12,))[0]
        globe = canvas.ellipsoid(eye, (radius, radius, radius))
        painter.paint(globe, Part.EYE.on(side), (*_DEEP, Tissue.SKIN, Tissue.AIR, Part.OPTIC_NERVE.on(side)))
        lens = painter.solid(eye + (0, radius - 4.2, 0), (4.9, 2.5, 4.9))
        painter.paint(lens, Part.LENS.on(side), [Part.EYE.on(side)])
    crossing = painter.solid(chiasm, (8, 5.5, 3.2))
    over = (Tissue.FLUID, Tissue.BONE, Part.BRAIN, *painter.classes(Part.OPTIC_NERVE), Part.PITUITARY)
    painter.paint(crossing, Part.CHIASM, over)


def paint_sinuses(painter: Painter) -> None:
    """Air in nose, maxillary and sphenoid sinuses, with the mucosa and bone around it; the upper jaw."""
    over = (*_DEEP, Tissue.SKIN)
    jaw = painter.solid((0, 44, -35), (28, 19, 7), exponent=2.5)
    painter.paint(jaw, Tissue.BONE, over)
    caves = [(painter.near((0, 5, -15)), (13, 10, 9))]
    caves += [(painter.near((side * 27, 38, -20)), (11.5, 13, 11)) for side in LEFT_RIGHT]
    caves.append((np.array((0, 42, -18.0)), (10, 27, 13)))
    for middle, half_axes in caves:
        painter.paint(painter.canvas.ellipsoid(middle, np.add(half_axes, 2.2)), Tissue.BONE, over)
    for middle, half_axes in caves:
        lining = painter.rng.uniform(0.5, 2.5)
        painter.paint(painter.canvas.ellipsoid(middle, half_axes), Tissue.MUCOSA, over)
        painter.paint(
            painter.canvas.ellipsoid(middle, np.subtract(half_axes, lining)), Tissue.AIRWAY, [Tissue.MUCOSA]
        )
    for side in LEFT_RIGHT:
        turbinate = painter.solid((side * 4.5, 40, -20), (2.2, 18, 8), bumps=0.1)
        painter.paint(turbinate, Tissue.MUCOSA, [Tissue.AIRWAY])
