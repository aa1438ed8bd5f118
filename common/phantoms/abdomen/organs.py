"""The eleven labelled organs of the abdominal phantom.

Each function paints one organ into the free cavity; what is painted first keeps its voxels, so the
order of ``paint_organs`` decides which organ yields where two touch.  Body coordinates in mm, LAS+ (the
liver at negative x); sizes, places and angles vary about those of an adult.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from common.phantoms.abdomen.tissues import Tissue
from common.phantoms.making.shapes import Canvas, rotation_matrix

__all__ = ["KIDNEY_DEG", "NO_GALLBLADDER_CHANCE", "Kidney", "Landmarks", "paint_organs", "point_at"]

NO_GALLBLADDER_CHANCE = 0.04  # removed by surgery
KIDNEY_DEG = (-12.0, -12.0, 28.0)
_PLACE_SD_MM = 5.0
_SIZE_SD = 0.11  # of the logarithm
_SIZE_LIMIT_SD = 2.0
_ANGLE_SD_DEG = 9.0
_STOMACH_WALL_MM = 4.5
_SWALLOWED_AIR_CHANCE = 0.25
_FREE = (Tissue.CAVITY,)


class Kidney(NamedTuple):
    """Where a kidney lies: middle and half axes (3,) in mm, own axes (3, 3), all in body coordinates."""

    center: np.ndarray
    half_axes: np.ndarray
    turn: np.ndarray

    def at(self, place: Sequence[float]) -> np.ndarray:
        """(3,) mm: the body point of a place in half axes."""
        return self.center + self.turn @ (np.asarray(place) * self.half_axes)


class Landmarks(NamedTuple):
    """Places for what other phantoms add, in body coordinates."""

    aorta: np.ndarray  # (N, 3) mm, from the chest downwards
    cava: np.ndarray  # (N, 3) mm, from the pelvis upwards
    kidneys: tuple[Kidney, Kidney]  # right, left


def point_at(course: np.ndarray, height: float) -> np.ndarray:
    """(3,) mm: the point of a vertical vessel's course (N, 3) at this z."""
    rising = course[np.argsort(course[:, 2])]
    return np.array([np.interp(height, rising[:, 2], rising[:, axis]) for axis in range(2)] + [height])


class _Painter:
    """One patient's organs: where they may go, how they move with the breath, and the random numbers."""

    def __init__(self, canvas: Canvas, room: np.ndarray, breath: float, rng: np.random.Generator) -> None:
        self.canvas, self.rng, self.breath = canvas, rng, breath
        self.abdomen = room > 0

    def place(self, center: Sequence[float], *, breath: float, sd: float = _PLACE_SD_MM) -> np.ndarray:
        """(3,) mm: a point near ``center``, moved with this share of the breath."""
        return np.asarray(center) + self.rng.normal(0, sd, 3) + (0, 0, breath * self.breath)

    def curve(self, points: Sequence[Sequence[float]], *, breath: float, sd: float) -> np.ndarray:
        """(N, 3) mm: the points, moved together by ``sd`` and each by half of it."""
        together = self.place((0, 0, 0), breath=breath, sd=sd)
        return np.asarray(points) + together + self.rng.normal(0, sd / 2, (len(points), 3))

    def size(self, lengths: Sequence[float], *, sd: float = _SIZE_SD) -> np.ndarray:
        """The lengths, times one common factor and a factor for each."""
        dice = self.rng.normal(size=1 + len(lengths)).clip(-_SIZE_LIMIT_SD, _SIZE_LIMIT_SD)
        return np.asarray(lengths) * np.exp(sd * (dice[0] + dice[1:] / 2))

    def turn(self, degrees: Sequence[float]) -> np.ndarray:
        """(3, 3): a rotation near the given angles."""
        return rotation_matrix(np.asarray(degrees) + self.rng.normal(0, _ANGLE_SD_DEG, 3))


def paint_organs(
    canvas: Canvas,
    room: np.ndarray,
    breath: float,
    rng: np.random.Generator,
    *,
    no_gallbladder: float = NO_GALLBLADDER_CHANCE,
    kidney_degrees: Sequence[float] = KIDNEY_DEG,
) -> Landmarks:
    """Paint all organs, and say where some of them lie.

    Args:
        canvas: with the body's frame; its cavity is filled.
        room: (X, Y, Z) mm below the diaphragm.
        breath: mm, the diaphragm's own shift upwards.
        rng: draws sizes, places and shapes.
        no_gallbladder: chance that it is missing.
        kidney_degrees: how the left kidney is turned about the x, y and z axis; the right one is its mirror
            image.  Negative about y: the upper pole is nearer to the spine.
    """
    painter = _Painter(canvas, room, breath, rng)
    porta = painter.place((-42, 8, 24), breath=0.8, sd=5)
    aorta, cava = _paint_great_vessels(painter)
    _paint_portal_vein(painter, porta)
    right = _paint_kidney(painter, -1, kidney_degrees, Tissue.RIGHT_CORTEX, Tissue.RIGHT_MEDULLA)
    left = _paint_kidney(painter, 1, kidney_degrees, Tissue.LEFT_CORTEX, Tissue.LEFT_MEDULLA)
    if rng.random() > no_gallbladder:
        _paint_gallbladder(painter)
    _paint_pancreas(painter)
    _paint_spleen(painter)
    _paint_stomach_and_oesophagus(painter)
    _paint_liver(painter)
    return Landmarks(aorta, cava, (right, left))


def _paint_great_vessels(painter: _Painter) -> tuple[np.ndarray, np.ndarray]:
    canvas = painter.canvas
    aorta = painter.curve(
        [(14, -46, 150), (13, -40, 60), (8, -28, 0), (6, -27, -60), (5, -28, -140)], breath=0, sd=3
    )
    calibre = painter.size((13, 12.5, 11.5, 10, 9), sd=0.09)
    canvas.paint(
        canvas.tube(aorta, calibre), Tissue.AORTA, over=[Tissue.CAVITY, Tissue.LUNG, Tissue.DIAPHRAGM]
    )
    cava = painter.curve(
        [(-20, -28, -140), (-20, -26, -50), (-22, -20, 0), (-24, -6, 35), (-22, 2, 62), (-18, 8, 95)],
        breath=0.3,
        sd=3,
    )
    calibre = painter.size((10.5, 11, 11.5, 12, 13, 13), sd=0.12)
    canvas.paint(
        canvas.tube(cava, calibre) & (canvas.body[2] < 78 + painter.breath),  # above: the right atrium
        Tissue.VENA_CAVA,
        over=[Tissue.CAVITY, Tissue.DIAPHRAGM, Tissue.HEART, Tissue.LUNG],
    )
    return aorta, cava


def _paint_portal_vein(painter: _Painter, porta: np.ndarray) -> None:
    canvas = painter.canvas
    confluence = painter.place((-9, 2, 3), breath=0.5, sd=4)
    hilum = painter.place((76, -24, 30), breath=0.7, sd=6)
    waves = painter.rng.normal(0, 4, (2, 3))
    splenic = [hilum, (2 * hilum + confluence) / 3 + (0, 8, 0) + waves[0],
               (hilum + 2 * confluence) / 3 + (0, 5, 0) + waves[1], confluence]  # fmt: skip
    main, branch = painter.size((8, 5.5), sd=0.1)
    trunk = [confluence, (confluence + porta) / 2 + (2, 0, 0), porta]
    right = [porta, porta + (-14, -4, 7), porta + (-32, -12, 10)]
    left = [porta, porta + (10, 12, 8), porta + (22, 26, 14)]
    for points, radii in (
        (splenic, (branch * 0.8, branch, branch, branch * 1.2)),
        (trunk, (main, main, main)),
        (right, (main, branch, branch * 0.7)),
        (left, (main * 0.9, branch, branch * 0.7)),
    ):
        canvas.paint(canvas.tube(points, radii), Tissue.PORTAL, over=_FREE)
    mesenteric = [confluence - (0, 0, 3), confluence + (-2, 12, -30), confluence + (0, 18, -90)]
    canvas.paint(canvas.tube(mesenteric, (main, 6, 5)), Tissue.MESENTERIC_VEIN, over=_FREE)


def _paint_kidney(
    painter: _Painter, side: int, degrees: Sequence[float], cortex: Tissue, medulla: Tissue
) -> Kidney:
    """``side``: -1 right, 1 left."""
    canvas, rng = painter.canvas, painter.rng
    center = painter.place((side * 62, -42, -24 if side < 0 else -10), breath=0.6, sd=6)
    axes = painter.size((27, 25, 54))
    turn = painter.turn((degrees[0], side * degrees[1], side * degrees[2]))
    fat = canvas.ellipsoid(center, axes + rng.uniform(5, 13), rotation=turn, exponent=2.2)
    canvas.paint(fat & painter.abdomen, Tissue.RENAL_FAT, over=_FREE)
    kidney = canvas.ellipsoid(center, axes, rotation=turn, exponent=2.2, bumps=0.06, rng=rng)
    canvas.paint(kidney, cortex, over=[Tissue.RENAL_FAT])
    inner = canvas.ellipsoid(center, axes * (0.68, 0.68, 0.8), rotation=turn)
    canvas.paint(inner, medulla, over=[cortex])
    hilum = center + turn @ (-side * axes[0] * 0.75, 0, 0)
    sinus = canvas.ellipsoid(hilum, axes * (0.75, 0.4, 0.42), rotation=turn)
    canvas.paint(sinus, Tissue.RENAL_FAT, over=[cortex, medulla])
    return Kidney(center, axes, turn)


def _paint_gallbladder(painter: _Painter) -> None:
    canvas = painter.canvas
    gallbladder = canvas.ellipsoid(
        painter.place((-52, 42, -14), breath=0.9, sd=7),
        painter.size((15, 15, 31), sd=0.16),
        rotation=painter.turn((25, 15, 0)),
        bumps=0.1,
        rng=painter.rng,
    )
    canvas.paint(gallbladder & painter.abdomen, Tissue.GALLBLADDER, over=_FREE)


def _paint_pancreas(painter: _Painter) -> None:
    canvas = painter.canvas
    points = painter.curve(
        [(-30, 10, -34), (-27, 14, -14), (-8, 20, -2), (18, 20, 6), (46, 4, 18), (76, -18, 30)],
        breath=0.5,
        sd=6,
    )
    radii = painter.size((12.5, 17, 12, 12, 13, 11), sd=0.13)
    canvas.paint(canvas.tube(points, radii) & painter.abdomen, Tissue.PANCREAS, over=_FREE)


def _paint_stomach_and_oesophagus(painter: _Painter) -> None:
    canvas, rng = painter.canvas, painter.rng
    path = painter.curve(
        [(58, -20, 58), (68, 2, 34), (62, 32, 4), (30, 52, -18), (-4, 48, -16), (-26, 36, -8)],
        breath=0.8,
        sd=7,
    )
    radii = painter.size((26, 31, 28, 22, 16, 11), sd=0.06) * rng.uniform(0.72, 1.15)  # empty to full
    cardia = path[0] + (-14, 4, -4)
    gullet = np.array([(7, -26, 150), (9, -24, 95), (14, -18, 72 + painter.breath / 2), cardia])
    gullet[:3] += rng.normal(0, 3, 3)
    thickness = painter.size((9, 9.5, 9, 9))
    over = [Tissue.CAVITY, Tissue.DIAPHRAGM, Tissue.LUNG, Tissue.HEART]
    canvas.paint(canvas.tube(path, radii) & painter.abdomen, Tissue.STOMACH_WALL, over=_FREE)
    canvas.paint(canvas.tube(gullet, thickness), Tissue.OESOPHAGUS, over=over)
    if rng.random() < _SWALLOWED_AIR_CHANCE:
        canvas.paint(canvas.tube(gullet[:3], (3, 3, 3)), Tissue.OESOPHAGUS_GAS, over=[Tissue.OESOPHAGUS])
    lumen = canvas.tube(path, radii, shrink=_STOMACH_WALL_MM)
    canvas.paint(lumen, Tissue.STOMACH_CONTENT, over=[Tissue.STOMACH_WALL])
    fluid_level = canvas.pose.to_scan(path).mean(axis=0)[1] + rng.uniform(-5, 40)
    air = canvas.height > fluid_level  # the patient lies on the back: gas collects at the front
    canvas.paint(
        lumen & np.broadcast_to(air, canvas.tissue.shape), Tissue.STOMACH_GAS, over=[Tissue.STOMACH_CONTENT]
    )


def _paint_spleen(painter: _Painter) -> None:
    canvas = painter.canvas
    spleen = canvas.ellipsoid(
        painter.place((102, -31, 29), breath=0.9, sd=6),
        painter.size((29, 47, 53), sd=0.15),
        rotation=painter.turn((30, -12, -32)),
        exponent=2.3,
        bumps=0.12,
        rng=painter.rng,
    )
    canvas.paint(spleen & painter.abdomen, Tissue.SPLEEN, over=_FREE)


def _paint_liver(painter: _Painter) -> None:
    canvas, rng = painter.canvas, painter.rng
    center = painter.place((-76, 0, 18), breath=1, sd=5)
    right = canvas.ellipsoid(
        center,
        painter.size((64, 80, 72)),
        rotation=painter.turn((0, -18, 10)),
        exponent=2.4,
        bumps=0.1,
        rng=rng,
    )
    left = canvas.ellipsoid(
        center + rng.normal((72, 42, 22), (9, 5, 7)),
        painter.size((66, 36, 32), sd=0.16),
        rotation=painter.turn((0, -12, -8)),
        exponent=2.2,
        bumps=0.12,
        rng=rng,
    )
    for lobe in (right, left):
        canvas.paint(lobe & painter.abdomen, Tissue.LIVER, over=_FREE)
