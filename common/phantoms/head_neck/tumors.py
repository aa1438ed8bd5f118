"""Gross tumor volumes of the phantom ``head_neck``: a primary tumor in the nasopharynx, and lymph nodes."""

from __future__ import annotations

import numpy as np

from common.phantoms.head_neck.painter import SOFT, Painter
from common.phantoms.head_neck.tissues import Tissue

__all__ = ["paint_tumors"]

_HALF_AXES_MM = (18.0, 13.0, 16.0)
_SIZE_SD = 0.12
_BUMPS = 0.22
_GIVES_WAY = (*SOFT, Tissue.AIRWAY, Tissue.VEIN, Tissue.NODE)
_NODES = (1, 4)
_NODE_MM = (6.5, 14.0)
_CORE_FROM_MM = 9.0
_CHAIN_MM = ((29, -9, -52), (31, -10, -80), (31, -10, -112))


def paint_tumors(painter: Painter) -> None:
    """Paint the primary tumor and one to four lymph nodes; organs at risk keep their place."""
    canvas, rng = painter.canvas, painter.rng
    side = rng.choice((-1, 1))
    place = np.array((side * rng.uniform(2, 10), 9, -27)) + rng.normal(0, 1.5, 3)
    primary = canvas.ellipsoid(place, painter.sized(_HALF_AXES_MM, sd=_SIZE_SD), bumps=_BUMPS, rng=rng)
    painter.paint(primary, Tissue.GTV_PRIMARY, _GIVES_WAY)
    for index in range(rng.integers(*_NODES, endpoint=True)):
        chain = np.multiply(_CHAIN_MM, (side if index == 0 else rng.choice((-1, 1)), 1, 1))
        height = rng.uniform(-112, -52)
        middle = [np.interp(-height, -chain[:, 2], chain[:, axis]) for axis in range(2)]
        middle = np.array([*middle, height]) + rng.normal(0, 2.5, 3)
        radius = rng.uniform(*_NODE_MM)
        axes = radius * np.exp(rng.normal(0, 0.12, 3)) * (0.85, 0.85, 1.2)
        node = canvas.ellipsoid(middle, axes, bumps=0.1, rng=rng)
        painter.paint(node, Tissue.GTV_NODE, _GIVES_WAY)
        if radius > _CORE_FROM_MM:
            core = canvas.ellipsoid(middle, axes * rng.uniform(0.35, 0.6), bumps=0.15, rng=rng)
            painter.paint(core, Tissue.GTV_NODE_CORE, [Tissue.GTV_NODE])
