"""Retinal vessels of the fundus phantom: arteries and veins that leave the disc and branch.

Coordinates (u, v): temporal and down, in disc diameters from the disc's centre.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import map_coordinates

from common.phantoms.fundus.disc import Disc

__all__ = ["vessel_light"]

_VEIN = np.array((0.62, 0.34, 0.42))  # share of the light that is reflected
_ARTERY = np.array((0.80, 0.52, 0.52))
_TRUNK_DD = {"vein": (0.06, 0.085), "artery": (0.04, 0.06)}  # width at the disc
_STEP_DD = 0.06
_BRANCH_CHANCE = 0.10  # per step
_THINNEST_DD = 0.016
_PER_DD = 96  # pixels of the map that vessels are drawn on
_REACH_DD = 3.2


def vessel_light(u: np.ndarray, v: np.ndarray, disc: Disc, rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3): the share of the light that is reflected where vessels lie, 1 elsewhere."""
    light = np.ones((*u.shape, 3))
    for kind, colour in (("artery", _ARTERY), ("vein", _VEIN)):
        drawing = Image.new("L", (round(2 * _REACH_DD * _PER_DD),) * 2)
        pen = ImageDraw.Draw(drawing)
        for vertical in (-1, 1):
            for horizontal in (-1, 1):
                width = rng.uniform(*_TRUNK_DD[kind]) * (1.0 if horizontal > 0 else 0.75)
                # Trunks rise at the nasal side of the cup and bend towards their quadrant.
                start = np.array((disc.cup.centre[0] - 0.4 * disc.cup.radius, 0.0)) + rng.normal(0, 0.04, 2)
                angle = vertical * (np.pi / 2 - horizontal * rng.uniform(0.0, 0.55))
                bend = -vertical * horizontal * rng.uniform(0.10, 0.30)
                _grow(pen, start, angle, bend, width, rng)
        at = [(v + _REACH_DD) * _PER_DD, (u + _REACH_DD) * _PER_DD]
        cover = map_coordinates(np.asarray(drawing, float) / 255, at, order=1, mode="constant")
        light *= 1 - cover[..., None] * (1 - colour) * rng.uniform(0.7, 1.0)
    return light


def _grow(
    pen: ImageDraw.ImageDraw,
    start: np.ndarray,
    angle: float,
    bend: float,
    width: float,
    rng: np.random.Generator,
) -> None:
    """Draw a vessel from ``start``; ``bend`` in radians per disc diameter; its branches are thinner."""
    place, steps = start.copy(), 0
    while width > _THINNEST_DD and np.abs(place).max() < _REACH_DD:
        after = place + _STEP_DD * np.array((np.cos(angle), np.sin(angle)))
        ends = [tuple((point + _REACH_DD) * _PER_DD) for point in (place, after)]
        pen.line(ends, fill=255, width=max(1, round(width * _PER_DD)))
        radius = width * _PER_DD / 2
        x, y = ends[1]
        pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=255)
        place, steps = after, steps + 1
        angle += _STEP_DD * bend + rng.normal(0, 0.07)
        width *= 0.992
        if steps > 5 and rng.random() < _BRANCH_CHANCE:
            away = rng.choice((-1, 1)) * rng.uniform(0.5, 0.9)
            _grow(pen, after, angle + away, -np.sign(away) * 0.2, width * rng.uniform(0.45, 0.75), rng)
            angle -= 0.25 * away
            width *= 0.93
