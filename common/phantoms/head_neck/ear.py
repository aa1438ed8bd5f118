"""The temporal bone of the phantom ``head_neck``: middle and inner ear, Eustachian tube, mastoid, jaw joint.

Places are relative to the middle ear's middle: x outwards, y forwards, z up, in mm.  What sticks out of the
middle ear's volume is a class of its own, as in SegRap2023.
"""

from __future__ import annotations

import numpy as np

from common.phantoms.head_neck.painter import LEFT_RIGHT, SOFT, Painter
from common.phantoms.head_neck.tissues import Part, Tissue

__all__ = ["paint_ears"]

_MIDDLE_MM = (37.0, -15.0, -17.0)
_AROUND = (
    *SOFT,
    Tissue.BONE,
    Tissue.FLUID,
    Tissue.SKIN,
    Part.BRAIN,
    *(Part.TEMPORAL_LOBE.on(s) for s in LEFT_RIGHT),
)


def paint_ears(painter: Painter) -> None:
    """Paint both temporal bones."""
    for side in LEFT_RIGHT:
        _Ear(painter, side).paint()


class _Ear:
    """One side's temporal bone, moved as a whole from patient to patient."""

    def __init__(self, painter: Painter, side: int) -> None:
        self.painter, self.side = painter, side
        self.middle = painter.near(np.multiply(_MIDDLE_MM, (side, 1, 1)), sd=1.5)

    def at(self, *place: float, sd: float = 0.3) -> np.ndarray:
        """(3,) mm: the body point of a place in the ear."""
        return self.middle + self.painter.near(place, sd=sd) * (self.side, 1, 1)

    def paint(self) -> None:
        """From the bone to its smallest parts."""
        painter, canvas, side = self.painter, self.painter.canvas, self.side
        pyramid = canvas.ellipsoid(self.at(0, -1, 0), (27, 13, 10), exponent=2.3)
        painter.paint(pyramid, Tissue.BONE, _AROUND)
        mastoid = painter.solid(self.at(13, -18, -8, sd=1.0), (9.5, 12, 15), bumps=0.1)
        painter.paint(mastoid, Part.MASTOID.on(side), _AROUND)
        joint = painter.solid(self.at(11.5, 17, -7, sd=0.8), (8, 6.5, 6.5))
        painter.paint(joint, Part.JAW_JOINT.on(side), _AROUND)
        whole = painter.solid(self.middle, (18, 10.5, 8.5), bumps=0.04)
        painter.paint(whole, Part.MIDDLE_EAR.on(side), (*_AROUND, Part.MASTOID.on(side)))
        self._split(
            canvas.tube([self.at(8, -0.5, -1), self.at(6, 14, -5), self.at(0.5, 23, -8)], (3.1, 3.0, 2.9)),
            Part.TUBE_INSIDE,
            Part.TUBE_OUTSIDE,
        )
        cavity = painter.solid(self.at(15.8, 3, 0.5), (5, 5.5, 6.2))
        self._split(cavity, Part.TYMPANIC_INSIDE, Part.TYMPANIC_OUTSIDE)
        canals = painter.solid(self.at(2, -8.5, 1), (4.8, 7, 6.2))
        self._split(canals, Part.VESTIBULE_INSIDE, Part.VESTIBULE_OUTSIDE)
        everything = (
            *_AROUND,
            Part.MIDDLE_EAR.on(side),
            Part.TUBE_INSIDE.on(side),
            Part.VESTIBULE_INSIDE.on(side),
        )
        nerves = canvas.tube(
            [self.at(-18.5, 1, 1), self.at(-12, 0, 1), self.at(-6, -0.5, 1)], (3.2, 3.0, 2.8)
        )
        painter.paint(nerves, Part.AUDITORY_CANAL.on(side), everything)
        snail = painter.solid(self.at(-3, 5, -1), (4.3, 4.2, 4.6))
        painter.paint(snail, Part.COCHLEA.on(side), everything)

    def _split(self, region, inside: Part, outside: Part) -> None:
        """A part of the ear: one class within the middle ear's volume, another one beyond it."""
        beyond = dict.fromkeys(_AROUND, outside.on(self.side))
        within = {
            Part.MIDDLE_EAR.on(self.side): inside.on(self.side),
            Part.TUBE_INSIDE.on(self.side): inside.on(self.side),
        }
        self.painter.split(region, beyond | within)
