"""Bowel of the abdominal phantom: unlabelled, and in HU much like the organs around it.

Body coordinates in mm, LAS+.  It fills what the organs leave free.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from common.phantoms.abdomen.tissues import Tissue
from common.phantoms.making.shapes import Canvas

__all__ = ["BOWEL", "Gut", "paint_bowel", "paint_loop"]


class Gut(NamedTuple):
    """The tissue numbers of a stretch of bowel."""

    wall: int
    fluid: int
    solid: int
    gas: int


BOWEL = Gut(Tissue.BOWEL_WALL, Tissue.BOWEL_FLUID, Tissue.BOWEL_SOLID, Tissue.GAS)

_FREE = (Tissue.CAVITY,)
_WALL_MM = 2.5
_SMALL_LOOPS = (7, 14)  # fewest, most
_DUODENUM = ((-28, 36, -10), (-46, 24, -18), (-50, 12, -46), (-24, 4, -62), (24, 6, -52))
_COLON = (
    ((-98, -12, -140), (-98, 0, -90), (-88, 22, -52)),
    ((-88, 22, -52), (-48, 62, -58), (0, 72, -64), (52, 64, -44), (92, 18, -8)),
    ((98, 8, -6), (106, -18, -50), (104, -16, -90), (98, -10, -140)),
)  # ascending, transverse, descending


def paint_bowel(canvas: Canvas, room: np.ndarray, rng: np.random.Generator, *, duodenum: Gut = BOWEL) -> None:
    """Paint duodenum, colon and small bowel.

    Args:
        canvas: with the organs painted.
        room: (X, Y, Z) mm below the diaphragm; bowel stays where it is positive.
        rng: draws places, calibres and contents.
        duodenum: what it is made of, for phantoms that label it.
    """
    abdomen = room > 0
    course = np.array(_DUODENUM) + rng.normal(0, 5, 3)
    paint_loop(canvas, abdomen, course, 11 * rng.uniform(0.8, 1.25), rng, gut=duodenum)
    for part in _COLON:
        points = np.array(part) + rng.normal(0, 8, 3) + rng.normal(0, 5, (len(part), 3))
        paint_loop(canvas, abdomen, points, rng.uniform(15, 25), rng)
    for _ in range(rng.integers(*_SMALL_LOOPS, endpoint=True)):
        start = rng.uniform((-75, 0, -125), (85, 65, -25))
        steps = rng.normal(0, 1, (4, 3)) * (26, 16, 16)
        points = start + np.concatenate([np.zeros((1, 3)), np.cumsum(steps, axis=0)])
        paint_loop(canvas, abdomen, points, rng.uniform(9, 15), rng)


def paint_loop(
    canvas: Canvas,
    abdomen: np.ndarray,
    points: np.ndarray,
    radius: float,
    rng: np.random.Generator,
    *,
    gut: Gut = BOWEL,
) -> None:
    """A tube with a wall, its content solid or fluid, with gas at the front in some.

    Args:
        canvas: its free cavity is filled.
        abdomen: bool, (X, Y, Z): where bowel may lie.
        points: (N, 3) mm, on its course.
        radius: mm, changed a little from point to point.
        rng: draws calibre and content.
        gut: what it is made of.
    """
    radii = radius * np.exp(rng.normal(0, 0.12, len(points)))
    free = abdomen & (canvas.tissue == Tissue.CAVITY)
    canvas.paint(canvas.tube(points, radii) & free, gut.wall, over=_FREE)
    lumen = canvas.tube(points, radii, shrink=_WALL_MM) & free
    collapsed = rng.random() < 0.35
    content = gut.solid if rng.random() < 0.5 else gut.fluid
    if not collapsed:
        canvas.paint(lumen, content, over=[gut.wall])
    if rng.random() < 0.45:
        level = canvas.pose.to_scan(points).mean(axis=0)[1] + rng.uniform(-0.5, 0.8) * radius
        gas = np.broadcast_to(canvas.height > level, canvas.tissue.shape)
        canvas.paint(lumen & gas, gut.gas, over=[content])
