"""Smooth solids on a voxel grid: bumpy superellipsoids and tubes along splines.

Axes of every array: (X, Y, Z).  Coordinates in mm, LAS+: x to the patient's left, y forwards, z up.
*Body* coordinates belong to the standard body; a ``Pose`` takes them to *scan* coordinates, whose
axes are the grid's.  Solids are given in body coordinates.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline, PchipInterpolator
from scipy.spatial.transform import Rotation

__all__ = ["Canvas", "Pose", "Region", "rotation_matrix"]

_BUMP_WAVES = 3
_BUMP_FREQUENCY = 2.2  # radians per half axis: about one dent on each side of an organ
_TUBE_STEP = 0.35  # distance of a tube's spheres in units of its radius: ripples below 2 %


def rotation_matrix(degrees: Sequence[float]) -> np.ndarray:
    """(3, 3) rotation by these angles about the fixed x, y and z axis, in this order."""
    return Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()


@dataclass(frozen=True)
class Pose:
    """How the standard body lies in the scan: ``scan = rotation @ (scale * body) + shift``."""

    rotation: np.ndarray  # (3, 3)
    scale: np.ndarray  # (3,)
    shift: np.ndarray  # (3,) mm

    def to_scan(self, points: np.ndarray) -> np.ndarray:
        """Body coordinates (N, 3) to scan coordinates (N, 3), both in mm."""
        return (points * self.scale) @ self.rotation.T + self.shift

    @property
    def linear(self) -> np.ndarray:
        """(3, 3): body directions to scan directions."""
        return self.rotation * self.scale


@dataclass(frozen=True)
class Region:
    """Some voxels of a canvas: a box and the mask (bool, the box's shape) inside it."""

    box: tuple[slice, slice, slice]
    mask: np.ndarray

    def __and__(self, whole_grid: np.ndarray) -> Region:
        """The part that lies in a mask (bool, (X, Y, Z) of the canvas)."""
        return Region(self.box, self.mask & whole_grid[self.box])


class Canvas:
    """A grid on which solids are painted as tissue numbers.

    Args:
        shape: voxels (X, Y, Z).
        spacing: mm.
        pose: from body to scan coordinates; the middle of the grid is the scan's origin.

    Attributes:
        tissue: uint8, (X, Y, Z), 0 at first.
        body: three float32 arrays (X, Y, Z): each voxel's body coordinates in mm.
        height: float32, (1, Y, 1): scan y in mm, the direction against gravity.
    """

    def __init__(self, shape: Sequence[int], spacing: Sequence[float], pose: Pose) -> None:
        self.pose = pose
        self.spacing = np.asarray(spacing, float)
        self.first = -(np.asarray(shape) - 1) / 2 * self.spacing
        self.axes = [
            (start + np.arange(n) * step).astype(np.float32)
            for start, n, step in zip(self.first, shape, self.spacing, strict=True)
        ]
        self.tissue = np.zeros(tuple(shape), np.uint8)
        whole = tuple(slice(0, n) for n in shape)
        self.body = self._linear_form(whole, np.linalg.inv(pose.linear), pose.shift)
        self.height = self.axes[1][None, :, None]

    def ellipsoid(
        self,
        center: Sequence[float],
        half_axes: Sequence[float],
        *,
        rotation: np.ndarray | None = None,
        exponent: float = 2.0,
        bumps: float = 0.0,
        rng: np.random.Generator | None = None,
    ) -> Region:
        """A superellipsoid, its surface moved in and out by smooth bumps.

        Args:
            center: mm.
            half_axes: mm, along the solid's own axes.
            rotation: (3, 3), the solid's own axes in body coordinates; None: parallel to them.
            exponent: 2 for an ellipsoid, larger for boxier shapes.
            bumps: amplitude as a fraction of the half axes; needs ``rng``.
        """
        turn = np.eye(3) if rotation is None else rotation
        to_scan = self.pose.linear @ turn * np.asarray(half_axes, float)
        middle = self.pose.to_scan(np.asarray(center, float)[None])[0]
        reach = np.abs(to_scan).sum(axis=1) * (1 + bumps)
        box = self._box(middle - reach, middle + reach)
        unit = self._linear_form(box, np.linalg.inv(to_scan), middle)
        level = sum(np.abs(u) ** np.float32(exponent) for u in unit)
        surface = np.float32(1)
        if bumps and rng is not None:
            surface = (1 + bumps * _waves(unit, rng)) ** np.float32(exponent)
        return Region(box, level < surface)

    def tube(
        self, points: Sequence[Sequence[float]], radii: Sequence[float], *, shrink: float = 0.0
    ) -> Region:
        """A round tube along a smooth curve.

        Args:
            points: (N, 3) mm, on the curve.
            radii: N, mm; they change smoothly between the points.
            shrink: mm taken off the radius, for a lumen; the tube ends where nothing is left.
        """
        knots = self.pose.to_scan(np.asarray(points, float))
        steps = np.linalg.norm(np.diff(knots, axis=0), axis=1)
        along = np.concatenate([[0.0], np.cumsum(steps)])
        width = np.asarray(radii, float) * float(np.prod(self.pose.scale)) ** (1 / 3)
        n = int(along[-1] / (_TUBE_STEP * width.min())) + 2
        where = np.linspace(0.0, along[-1], n)
        centers = CubicSpline(along, knots)(where)
        radius = PchipInterpolator(along, width)(where) - shrink
        box = self._box((centers - radius[:, None]).min(axis=0), (centers + radius[:, None]).max(axis=0))
        mask = np.zeros([s.stop - s.start for s in box], bool)
        filled = radius > 0
        self._add_balls(mask, box, centers[filled], radius[filled])
        return Region(box, mask)

    def paint(self, region: Region, tissue: int, *, over: Collection[int]) -> None:
        """Give the region's voxels a tissue number, where their present one is in ``over``."""
        allowed = np.zeros(256, bool)
        allowed[list(over)] = True
        present = self.tissue[region.box]
        present[region.mask & allowed[present]] = tissue

    def nearest(self, point: Sequence[float]) -> tuple[int, int, int]:
        """Index of the voxel nearest to a body point (3,) in mm; at the grid's border if it lies outside."""
        index = (self.pose.to_scan(np.asarray(point, float)[None])[0] - self.first) / self.spacing
        return tuple(int(i) for i in np.clip(np.rint(index), 0, np.asarray(self.tissue.shape) - 1))

    def _add_balls(
        self, mask: np.ndarray, box: tuple[slice, slice, slice], centers: np.ndarray, radii: np.ndarray
    ) -> None:
        """Set the balls' voxels in a mask of the box's shape.

        Args:
            mask: bool, the box's shape.
            box: of all balls.
            centers: (N, 3) mm, scan coordinates.
            radii: (N,) mm.
        """
        starts, stops = self._corners(centers - radii[:, None], centers + radii[:, None])
        x_axis, y_axis, z_axis = self.axes
        corner = [part.start for part in box]
        balls = zip(starts.tolist(), stops.tolist(), centers.astype(np.float32), radii, strict=True)
        for start, stop, (x0, y0, z0), radius in balls:
            x = (x_axis[start[0] : stop[0]] - x0) ** 2
            y = (y_axis[start[1] : stop[1]] - y0) ** 2
            z = (z_axis[start[2] : stop[2]] - z0) ** 2
            inner = tuple(slice(a - c, b - c) for a, b, c in zip(start, stop, corner, strict=True))
            mask[inner] |= x[:, None, None] + y[None, :, None] + z[None, None, :] < np.float32(radius**2)

    def _box(self, low: np.ndarray, high: np.ndarray) -> tuple[slice, slice, slice]:
        """The voxels between two corners; may be empty, never outside the grid."""
        start, stop = self._corners(low, high)
        return tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))

    def _corners(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First indices of the boxes between two corners (..., 3) in mm, and those behind the last."""
        limit = np.asarray(self.tissue.shape)
        start = np.clip(np.floor((low - self.first) / self.spacing).astype(int), 0, limit)
        stop = np.clip(np.ceil((high - self.first) / self.spacing).astype(int) + 1, start, limit)
        return start, stop

    def _linear_form(
        self, box: tuple[slice, slice, slice], matrix: np.ndarray, middle: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """``matrix @ (scan - middle)`` at the box's voxels, as three arrays."""
        x, y, z = (axis[part] - np.float32(m) for axis, part, m in zip(self.axes, box, middle, strict=True))
        rows = matrix.astype(np.float32)
        return tuple(
            (row[0] * x)[:, None, None] + ((row[1] * y)[:, None] + (row[2] * z)[None, :])[None]
            for row in rows
        )


def _waves(unit: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """A smooth random field within -1..1 over three coordinates that run from -1 to 1 in the solid."""
    total = np.zeros_like(unit[0])
    for _ in range(_BUMP_WAVES):
        direction = rng.normal(size=3)
        wave = (_BUMP_FREQUENCY * direction / np.linalg.norm(direction)).astype(np.float32)
        phase = np.float32(rng.uniform(0, 2 * np.pi))
        total += np.sin(wave[0] * unit[0] + wave[1] * unit[1] + wave[2] * unit[2] + phase)
    return total / np.float32(_BUMP_WAVES)
