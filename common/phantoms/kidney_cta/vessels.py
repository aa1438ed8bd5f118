"""Renal artery and vein: from the great vessels to the hilum, and there into branches.

Body coordinates in mm, LAS+.  ``side`` is -1 for the right kidney and 1 for the left one.  Places within the
kidney are in its half axes: x away from the spine on the left, towards it on the right; z to the upper pole.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from common.phantoms.abdomen.organs import Kidney, Landmarks, point_at
from common.phantoms.abdomen.tissues import Tissue
from common.phantoms.kidney_cta.tissues import Part
from common.phantoms.making.shapes import Canvas

__all__ = ["paint_vessels"]

_ARTERY_MM, _VEIN_MM = (2.3, 2.8), (2.6, 3.1)  # radius of the trunk
_NARROWEST_MM = 1.4
_ACCESSORY_CHANCE = 0.25
_BEFORE, _BEHIND = (0.0, 5.0, -2.0), (0.0, -3.0, 3.0)  # of the hilum, in mm: vein, artery
_SEGMENTS = ((-0.2, 0.45), (0.0, 0.0), (-0.2, -0.45))  # x away from the spine, z: ends of the segments
_PLACE_SD = 0.05  # half axes
_NOT_CROSSED = (
    Tissue.AIR,
    Tissue.SKIN,
    Tissue.FAT,
    Tissue.MUSCLE,
    Tissue.LUNG,
    Tissue.BONE_RIM,
    Tissue.BONE_MARROW,
    Tissue.CANAL,
    Tissue.DISC,
    Tissue.TABLE,
    Tissue.AORTA,
    Tissue.VENA_CAVA,
    Tissue.RIGHT_CORTEX,
    Tissue.LEFT_CORTEX,
)


def paint_vessels(canvas: Canvas, landmarks: Landmarks, side: int, rng: np.random.Generator) -> None:
    """Paint the vein and then the artery of one kidney, and in some a second artery to a pole."""
    kidney = landmarks.kidneys[(side + 1) // 2]
    hilum = kidney.at((-0.75 * side, 0, 0))
    soft = [tissue for tissue in Tissue if tissue not in _NOT_CROSSED]
    tree = _Tree(canvas, kidney, side, rng)
    tree.paint(
        _venous_trunk(landmarks, hilum, side, rng),
        rng.uniform(*_VEIN_MM),
        Part.RENAL_VEIN,
        over=soft,
        depth=0.18,
        twigs=1,
    )
    soft.append(Part.RENAL_VEIN)
    trunk = _arterial_trunk(landmarks, hilum, side, rng)
    tree.paint(trunk, rng.uniform(*_ARTERY_MM), Part.RENAL_ARTERY, over=soft, depth=-0.12, twigs=2)
    if rng.random() < _ACCESSORY_CHANCE:
        pole = kidney.at((-0.7 * side, 0.2, rng.choice((-1, 1)) * rng.uniform(0.5, 0.7)))
        root = point_at(landmarks.aorta, pole[2] + rng.normal(0, 6)) + (7 * side, 0, 0)
        course = [root, (root + pole) / 2 + (0, 4, 0) + rng.normal(0, 2, 3), pole]
        canvas.paint(canvas.tube(course, (1.7, 1.5, _NARROWEST_MM)), Part.RENAL_ARTERY, over=soft)


class _Tree:
    """How a trunk divides in one kidney's hilum."""

    def __init__(self, canvas: Canvas, kidney: Kidney, side: int, rng: np.random.Generator) -> None:
        self.canvas, self.kidney, self.side, self.rng = canvas, kidney, side, rng

    def paint(
        self,
        trunk: Sequence[np.ndarray],
        radius: float,
        tissue: int,
        *,
        over: Collection[int],
        depth: float,
        twigs: int,
    ) -> None:
        """A trunk, three segments and their twigs.

        Args:
            trunk: points, from the great vessel to the hilum.
            radius: of the trunk, in mm.
            tissue: its number.
            over: what it is painted on.
            depth: of the segments' ends, forwards, in half axes.
            twigs: of each segment.
        """
        canvas, rng, side = self.canvas, self.rng, self.side
        width = np.maximum(radius * np.array([1.0, 0.8, 0.62, 0.5]), _NARROWEST_MM)
        canvas.paint(canvas.tube(trunk, np.full(len(trunk), radius)), tissue, over=over)
        for x, z in _SEGMENTS:
            place = np.array((x * side, depth, z)) + rng.normal(0, _PLACE_SD, 3)
            end = self.kidney.at(place)
            bend = (trunk[-1] + 2 * end) / 3 + rng.normal(0, 1.2, 3)
            canvas.paint(canvas.tube([trunk[-1], bend, end], width[1:]), tissue, over=over)
            for twig in range(twigs):
                way = np.array((0.42 * side, 0.3 * (-1) ** twig, 0.25 * z)) + rng.normal(0, _PLACE_SD, 3)
                tip = self.kidney.at(place + way)
                canvas.paint(canvas.tube([end, (end + tip) / 2, tip], width[[2, 3, 3]]), tissue, over=over)


def _venous_trunk(
    landmarks: Landmarks, hilum: np.ndarray, side: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """From the vena cava to the hilum's front; the left one crosses before the aorta."""
    height = hilum[2] + rng.normal(4, 5)
    gate = hilum + _BEFORE
    if side > 0:
        root, aorta = point_at(landmarks.cava, height) + (8, 5, 0), point_at(landmarks.aorta, height)
        return [root, aorta + (0, 16, 0), (aorta + (14, 10, 0) + gate) / 2 + rng.normal(0, 2, 3), gate]
    root = point_at(landmarks.cava, height) - (9, 0, 0)
    return [root, (root + gate) / 2 + (0, 4, 0) + rng.normal(0, 1.5, 3), gate]


def _arterial_trunk(
    landmarks: Landmarks, hilum: np.ndarray, side: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """From the aorta to the hilum, behind the vein; the right one crosses behind the vena cava."""
    height = hilum[2] + rng.normal(9, 4)
    gate = hilum + _BEHIND
    root = point_at(landmarks.aorta, height) + (8 * side, 0, 0)
    if side < 0:
        behind = point_at(landmarks.cava, height - 3) - (0, 16, 0)
        return [root, behind, (behind + gate) / 2 + (0, 3, 0) + rng.normal(0, 1.5, 3), gate]
    return [root, (root + gate) / 2 + (0, 4, 0) + rng.normal(0, 1.5, 3), gate]
