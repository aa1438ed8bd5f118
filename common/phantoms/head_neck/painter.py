"""One patient's head: random places and sizes, and the solids painted with them.

Body coordinates in mm, LAS+ (x to the patient's left, y forwards, z up), origin in the middle of the sella.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from common.phantoms.head_neck.tissues import Part, Tissue
from common.phantoms.making.shapes import Canvas, Region

__all__ = ["LEFT_RIGHT", "SOFT", "Painter"]

LEFT_RIGHT = (1, -1)
"""The sides, as signs of x."""

SOFT = (Tissue.FAT, Tissue.MUSCLE, Tissue.MUCOSA)
"""What gives way to organs of face and neck."""

_PLACE_SD_MM, _PLACE_LIMIT = 1.2, 2.0  # the limit in sd
_SIZE_SD, _SIZE_LIMIT = 0.06, 0.12  # of the logarithm


class Painter:
    """Draws near a place and about a size, and paints.

    Args:
        canvas: of the patient.
        rng: this case's random numbers.
    """

    def __init__(self, canvas: Canvas, rng: np.random.Generator) -> None:
        self.canvas, self.rng = canvas, rng

    def near(self, place: Sequence[float], *, sd: float = _PLACE_SD_MM) -> np.ndarray:
        """(3,) mm: a point near ``place``."""
        return np.asarray(place, float) + sd * self.rng.normal(size=3).clip(-_PLACE_LIMIT, _PLACE_LIMIT)

    def sized(self, lengths: Sequence[float], *, sd: float = _SIZE_SD) -> np.ndarray:
        """The lengths, each times a factor of its own."""
        noise = self.rng.normal(0, sd, len(lengths)).clip(
            -sd / _SIZE_SD * _SIZE_LIMIT, sd / _SIZE_SD * _SIZE_LIMIT
        )
        return np.asarray(lengths, float) * np.exp(noise)

    def solid(
        self,
        place: Sequence[float],
        half_axes: Sequence[float],
        *,
        rotation: np.ndarray | None = None,
        exponent: float = 2.0,
        bumps: float = 0.0,
    ) -> Region:
        """A superellipsoid of about this size here, as :meth:`Canvas.ellipsoid`."""
        return self.canvas.ellipsoid(
            place, self.sized(half_axes), rotation=rotation, exponent=exponent, bumps=bumps, rng=self.rng
        )

    def paint(self, region: Region, tissue: int, over: Collection[int] = SOFT) -> None:
        """Give the region's voxels this tissue, where their present one is in ``over``."""
        self.canvas.paint(region, tissue, over=over)

    def split(self, region: Region, onto: Mapping[int, int]) -> None:
        """Give the region's voxels a tissue by their present one; others stay."""
        table = np.arange(256, dtype=np.uint8)
        for present, tissue in onto.items():
            table[present] = tissue
        there = self.canvas.tissue[region.box]
        there[region.mask] = table[there[region.mask]]

    def classes(self, part: Part) -> tuple[int, int]:
        """Both sides' classes of a pair."""
        return part.on(1), part.on(-1)
