"""Jaw, mouth, glands, throat, spine and vessels of the phantom ``head_neck``."""

from __future__ import annotations

import numpy as np

from common.phantoms.head_neck.painter import LEFT_RIGHT, SOFT, Painter
from common.phantoms.head_neck.tissues import Part, Tissue

__all__ = ["paint_jaw", "paint_neck_vessels", "paint_spine", "paint_throat"]

_CANAL = ((0, -24, -36), (0, -30, -60), (0, -34, -100), (0, -44, -165))
_BODY_MM = 18.0  # a vertebra's middle lies so far before the canal's
_VERTEBRA_MM = 17.0
_HARD = (Tissue.BONE, Tissue.MARROW, Tissue.DISC)
_RAMUS = ((49, 2, -31), (47, 2, -48), (44, 10, -66), (37, 32, -77), (22, 52, -81), (0, 60, -82))
_SHEATH_MM = ((28, -7, -34), (29, -7, -60), (30, -6, -100), (30, -10, -165))  # of the neck's great vessels
_NODES = (3, 8)


def paint_spine(painter: Painter) -> None:
    """Cervical vertebrae with discs, canal and spinal cord."""
    canvas = painter.canvas
    canal = np.array(_CANAL) + painter.near((0, 0, 0))
    bodies = canal + (0, _BODY_MM, 0)
    over = (*SOFT, Tissue.BONE)
    painter.paint(canvas.tube(bodies, (9, 10, 10, 11)), Tissue.BONE, over)
    painter.paint(canvas.tube(bodies, (6.5, 7.5, 7.5, 8.5)), Tissue.MARROW, _HARD)
    first = painter.rng.uniform(-52, -52 + _VERTEBRA_MM)
    painter.paint(canvas.tube(canal, (12, 12, 12, 12.5)), Tissue.BONE, over)
    for height in np.arange(first, -170, -_VERTEBRA_MM):
        y = np.interp(-height, -canal[:, 2], canal[:, 1])
        disc = canvas.ellipsoid((0, y + _BODY_MM, height), (11, 9.5, 2.8))
        painter.paint(disc, Tissue.DISC, (*SOFT, *_HARD))
        gap = canvas.ellipsoid((0, y - 8, height), (13, 8, 3.5))
        painter.paint(gap, Tissue.MUSCLE, [Tissue.BONE])
        process = canvas.ellipsoid((0, y - 18, height - 8), (3, 13, 4))
        painter.paint(process, Tissue.BONE, SOFT)
    painter.paint(canvas.tube(canal, (9, 8.5, 8.5, 8.5)), Tissue.FLUID, (*SOFT, *_HARD, Part.BRAIN))
    cord = canvas.tube(canal, painter.sized((5.6, 5.4, 5.4, 5.2)))
    painter.paint(cord, Part.SPINAL_CORD, (*SOFT, *_HARD, Tissue.FLUID, Part.BRAIN))


def paint_jaw(painter: Painter) -> None:
    """Mouth, both halves of the mandible, salivary glands."""
    canvas = painter.canvas
    over = (*SOFT, Tissue.SKIN)
    mouth = painter.solid(painter.near((0, 31, -58)), (22, 26, 18.5), bumps=0.05)
    painter.paint(mouth, Part.ORAL_CAVITY, (*over, Tissue.BONE))
    moved = painter.near((0, 0, 0))
    for side in LEFT_RIGHT:
        own = painter.near((0, 0, 0), sd=0.5)
        course = np.multiply(_RAMUS, (side, 1, 1)) + moved + own
        half = canvas.tube(course, painter.sized((5.5, 5.5, 6.2, 6.8, 6.8, 6.8)))
        painter.paint(
            half & (side * (canvas.body[0] - moved[0]) > 0), Part.MANDIBLE.on(side), (*over, Part.ORAL_CAVITY)
        )
    for side in LEFT_RIGHT:
        parotid = painter.solid(painter.near((side * 52, -12, -46)), (11, 14, 21), bumps=0.1)
        painter.paint(parotid, Part.PAROTID.on(side), over)
        gland = painter.solid(painter.near((side * 27, 21, -89)), (8.5, 13, 9.5), bumps=0.1)
        painter.paint(gland, Part.SUBMANDIBULAR.on(side), over)


def paint_throat(painter: Painter) -> None:
    """Pharynx, larynx, trachea, oesophagus, thyroid."""
    canvas = painter.canvas
    moved = painter.near((0, 0, 0))
    larynx = np.array((0, 10, -108)) + moved
    gullet = canvas.tube([larynx + p for p in ((3, -16, -14), (4, -18, -32), (5, -21, -62))], (7, 7, 7))
    painter.paint(gullet, Part.ESOPHAGUS, (*SOFT, *_HARD))
    throat = [(0, 14, -26), (0, 11, -42), (0, 8, -62), *(larynx + p for p in ((0, -4, 26), (0, -1, 8)))]
    painter.paint(canvas.tube(throat, (11, 10, 10, 10, 9)), Tissue.MUCOSA, (*SOFT, Part.ORAL_CAVITY))
    windpipe = [larynx + p for p in ((0, 0, -15), (0, -2, -34), (0, -6, -62))]
    painter.paint(canvas.tube(windpipe, (9.5, 9.5, 9.5)), Part.TRACHEA, (*SOFT, Part.ESOPHAGUS))
    box = painter.sized((18.5, 17.5, 19.5))
    painter.paint(canvas.ellipsoid(larynx, box), Tissue.CARTILAGE, (*SOFT, Part.TRACHEA, Part.ESOPHAGUS))
    inner = canvas.ellipsoid(larynx, box - (2.6, 2.6, -1.0))
    painter.paint(inner, Part.LARYNX, [Tissue.CARTILAGE])
    _paint_constrictor(painter, larynx)
    cords = (Part.LARYNX, Tissue.CARTILAGE)
    upper = painter.solid(larynx + (0, 3, 8), (13, 11, 7.5))
    painter.paint(upper, Part.SUPRAGLOTTIS, cords)
    lower = painter.solid(larynx + (0, 3, -4.5), (12.5, 12, 5.6))
    painter.paint(lower, Part.GLOTTIS, (*cords, Part.SUPRAGLOTTIS))
    _paint_thyroid(painter, larynx)
    _paint_air(painter, larynx)


def _paint_constrictor(painter: Painter, larynx: np.ndarray) -> None:
    """The pharynx's hind wall, whose lower part the larynx's volume takes in."""
    wall = painter.solid((0, larynx[1] - 11.5, larynx[2] + 27), (17, 4.2, 42), exponent=2.6)
    onto = dict.fromkeys((*SOFT, Tissue.VEIN), Part.CONSTRICTOR)
    painter.split(
        wall, {**onto, Part.LARYNX: Part.CONSTRICTOR_INSIDE, Tissue.CARTILAGE: Part.CONSTRICTOR_INSIDE}
    )


def _paint_thyroid(painter: Painter, larynx: np.ndarray) -> None:
    over = (*SOFT, Part.ESOPHAGUS)
    for side in LEFT_RIGHT:
        lobe = painter.solid(larynx + painter.near((side * 16, -3, -22), sd=0.8), (7.5, 9.5, 16), bumps=0.08)
        painter.paint(lobe, Part.THYROID, over)
    isthmus = painter.solid(larynx + (0, 8.5, -27), (13, 3.5, 6))
    painter.paint(isthmus, Part.THYROID, over)


def _paint_air(painter: Painter, larynx: np.ndarray) -> None:
    canvas = painter.canvas
    passage = [(0, 15, -24), (0, 12, -42), (0, 9, -62), *(larynx + p for p in ((0, -1, 26), (0, 1, 8)))]
    painter.paint(
        canvas.tube(passage, (7.5, 6, 6, 6, 4.5)), Tissue.AIRWAY, (*SOFT, Part.ORAL_CAVITY, Part.CONSTRICTOR)
    )
    course = [
        larynx + p for p in ((0, 0, 16), (0, 2, 4), (0, 2, -5), (0, 0, -16), (0, -2, -34), (0, -6, -62))
    ]
    lumen = canvas.tube(course, (5.0, 4.0, 2.6, 6.5, 7.2, 7.2))
    painter.split(
        lumen,
        {
            Part.LARYNX: Tissue.LARYNX_AIR,
            Tissue.CARTILAGE: Tissue.LARYNX_AIR,
            Part.SUPRAGLOTTIS: Tissue.SUPRAGLOTTIS_AIR,
            Part.GLOTTIS: Tissue.GLOTTIS_AIR,
            Part.TRACHEA: Tissue.TRACHEA_AIR,
            Tissue.MUCOSA: Tissue.AIRWAY,
        },
    )


def paint_neck_vessels(painter: Painter) -> None:
    """Fat around carotid arteries and jugular veins, and lymph nodes of normal size in it."""
    canvas, rng = painter.canvas, painter.rng
    for side in LEFT_RIGHT:
        sheath = np.multiply(_SHEATH_MM, (side, 1, 1)) + painter.near((0, 0, 0))
        painter.paint(canvas.tube(sheath, (8, 12, 12, 11)), Tissue.FAT, [Tissue.MUSCLE])
        over = (Tissue.FAT, Tissue.MUSCLE)
        vein = canvas.tube(sheath + (side * 3, -4, 0), painter.sized((4, 5, 5.5, 6), sd=0.12))
        painter.paint(vein, Tissue.VEIN, over)
        artery = canvas.tube(sheath + (-side * 4, 3, 0), painter.sized((2.6, 3, 3.6, 3.6)))
        painter.paint(artery, Tissue.ARTERY, over)
        for _ in range(rng.integers(*_NODES, endpoint=True)):
            height = rng.uniform(-140, -48)
            place = [np.interp(-height, -sheath[:, 2], sheath[:, axis]) for axis in range(2)]
            node = canvas.ellipsoid((*(place + rng.normal(0, 6, 2)), height), rng.uniform(1.8, 3.6, 3))
            painter.paint(node, Tissue.NODE, [Tissue.FAT])
