"""The left atrium of the phantom: body, appendage, pulmonary veins, wall with scar, mitral valve.

Body coordinates in mm, LAS+, origin in the middle of the atrium.  In two places a reader
decides, not the image: at the mitral valve, where the atrium's blood continues into the
ventricle's, and in the veins, which go on into the lung beyond the last labelled voxel.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

from common.phantoms.atrium.tissues import Tissue
from common.phantoms.making.shapes import Canvas, Region, rotation_matrix

__all__ = ["paint_atrium"]

_SIZE_SD = 0.11  # of the logarithm: volumes from about 20 to 130 mL
_HALF_AXES_MM = (32.0, 19.0, 17.5)
_WALL_MM = 1.7
_VALVE_NORMAL = (0.45, 0.72, -0.53)  # from the atrium into the ventricle
_VALVE_MM = 15.0  # from the middle of the atrium
_FUNNEL_MM = 17.0  # radius of the mitral opening
_LEAFLET_MM = 1.4
_SCAR_SHARE = (0.03, 0.35)  # of the wall
_SCAR_GRAIN_MM = 5.0

_VEINS = {  # mouth at the body, course into the lung, radius, all in mm
    "right superior": ((-24, -6, 8), (-30, -10, 9), 7.2),
    "right inferior": ((-22, -12, -8), (-24, -22, -7), 7.0),
    "left superior": ((22, -4, 10), (27, -8, 12), 7.2),
    "left inferior": ((22, -13, -2), (22, -24, -4), 6.2),
}
_MIDDLE_VEIN_CHANCE = 0.15
_COMMON_TRUNK_CHANCE = 0.15
_ROOT_MM = (6.0, 20.0)  # how far readers follow a vein from its mouth


def paint_atrium(canvas: Canvas, rng: np.random.Generator) -> None:
    """Paint the cavity over everything that lies there, and its wall around it."""
    size = np.exp(rng.normal(0, _SIZE_SD))
    body, valve = _body(canvas, size, rng)
    cavity = np.zeros(canvas.tissue.shape, bool)
    _add(cavity, body & valve)
    beyond = np.zeros_like(cavity)
    root = np.zeros_like(cavity)
    for mouth, way, radius in _veins(size, rng):
        _add_vein(canvas, beyond, root, mouth, way, radius, rng)
    root &= valve
    beyond &= ~(cavity | root)
    appendage = np.zeros_like(cavity)
    _add(appendage, _appendage(canvas, size, rng))
    appendage &= valve & ~cavity

    opening = _opening(canvas, valve, cavity, size)
    _paint_wall(canvas, cavity | root | appendage, beyond | opening, rng)
    tissue = canvas.tissue
    tissue[beyond] = Tissue.VEIN
    tissue[root] = Tissue.VEIN_ROOT
    tissue[appendage] = Tissue.APPENDAGE
    tissue[cavity] = Tissue.ATRIUM
    tissue[opening] = Tissue.LEFT_VENTRICLE
    _paint_leaflets(canvas, opening, size, rng)


def _add(mask: np.ndarray, region: Region) -> None:
    mask[region.box] |= region.mask


def _beyond_valve_mm(canvas: Canvas, size: float) -> np.ndarray:
    """float32 (X, Y, Z): mm from the valve's plane, positive on the ventricle's side."""
    normal = np.array(_VALVE_NORMAL) / np.linalg.norm(_VALVE_NORMAL)
    x, y, z = canvas.body
    n = normal.astype(np.float32)
    return n[0] * x + n[1] * y + n[2] * z - np.float32(_VALVE_MM * size)


def _body(canvas: Canvas, size: float, rng: np.random.Generator) -> tuple[Region, np.ndarray]:
    """The body and, over the whole grid, the atrium's side of the valve."""
    turn = rotation_matrix((rng.normal(0, 5), rng.normal(-6, 6), rng.normal(12, 7)))
    half_axes = np.array(_HALF_AXES_MM) * size * np.exp(rng.normal(0, 0.08, 3))
    body = canvas.ellipsoid(
        (0, 0, 0), half_axes, rotation=turn, exponent=rng.uniform(2.1, 2.9), bumps=0.10, rng=rng
    )
    return body, _beyond_valve_mm(canvas, size) < 0


def _veins(size: float, rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray, float]]:
    """Mouth, course and radius of the veins that this patient has."""
    chosen = [
        (np.array(mouth) * size, np.array(way, float), radius) for mouth, way, radius in _VEINS.values()
    ]
    if rng.random() < _COMMON_TRUNK_CHANCE:
        superior, inferior = chosen[2], chosen[3]
        chosen[2:] = [((superior[0] + inferior[0]) / 2, (superior[1] + inferior[1]) / 2, 9.5)]
    if rng.random() < _MIDDLE_VEIN_CHANCE:
        chosen.append((np.array((-26.0, -9.0, 1.0)) * size, np.array((-30.0, -12.0, 1.0)), 4.0))
    return [
        (mouth + rng.normal(0, 2, 3), way + rng.normal(0, 5, 3), radius * size * np.exp(rng.normal(0, 0.14)))
        for mouth, way, radius in chosen
    ]


def _add_vein(
    canvas: Canvas,
    beyond: np.ndarray,
    root: np.ndarray,
    mouth: np.ndarray,
    way: np.ndarray,
    radius: float,
    rng: np.random.Generator,
) -> None:
    """A vein from inside the body into the lung; its first millimetres are the labelled root."""
    direction = way / np.linalg.norm(way)
    start = mouth - 6 * direction
    bend = mouth + way / 2 + rng.normal(0, 2, 3)
    _add(beyond, canvas.tube([start, mouth, bend, mouth + way], np.array([1.25, 1.0, 0.85, 0.7]) * radius))
    length = rng.uniform(*_ROOT_MM)
    drawn = canvas.tube([start, mouth, bend], np.array([1.25, 1.0, 0.85]) * radius)
    x, y, z = (axis - np.float32(m) for axis, m in zip(canvas.body, mouth, strict=True))
    along = sum(np.float32(d) * a for d, a in zip(direction, (x, y, z), strict=True))
    _add(root, drawn & (along < length))


def _appendage(canvas: Canvas, size: float, rng: np.random.Generator) -> Region:
    """A curved, narrowing pouch from the left front of the body, with lobes."""
    points = np.array([(21, 6, 6), (33, 12, 10), (40, 21, 9), (38, 31, 4)]) * size
    radii = np.array([9.0, 7.5, 7.5, 5.0]) * size * np.exp(rng.normal(0, 0.15, 4))
    return canvas.tube(points + rng.normal(0, 2, (4, 3)) * ((0,), (0.6,), (1,), (1.4,)), radii)


def _opening(canvas: Canvas, valve: np.ndarray, cavity: np.ndarray, size: float) -> np.ndarray:
    """The ventricle's blood just beyond the valve, so that nothing separates the two within the ring."""
    x, y, z = canvas.body
    normal = np.array(_VALVE_NORMAL) / np.linalg.norm(_VALVE_NORMAL)
    centre = normal * _VALVE_MM * size
    distance = _beyond_valve_mm(canvas, size)
    square = sum((axis - np.float32(c)) ** 2 for axis, c in zip((x, y, z), centre, strict=True))
    radial = np.sqrt(np.maximum(square - distance**2, 0))
    return ~valve & ~cavity & (distance < 12) & (radial < _FUNNEL_MM * size)


def _paint_wall(canvas: Canvas, inside: np.ndarray, free: np.ndarray, rng: np.random.Generator) -> None:
    """Wall around ``inside`` except where ``free``; a random part of it is scar."""
    scar = rng.uniform(*_SCAR_SHARE)
    noise = rng.standard_normal(canvas.tissue.shape, dtype=np.float32)
    if not inside.any():  # the atrium lies outside a very small scan
        return
    box = _around(inside, margin=np.ceil(_WALL_MM / canvas.spacing).astype(int) + 1)
    distance = distance_transform_edt(~inside[box], sampling=canvas.spacing)
    wall = (distance > 0) & (distance <= _WALL_MM) & ~free[box]
    tissue = canvas.tissue[box]
    tissue[wall] = Tissue.ATRIAL_WALL
    field = gaussian_filter(noise[box], _SCAR_GRAIN_MM / canvas.spacing)
    if wall.any():
        tissue[wall & (field > np.quantile(field[wall], 1 - scar))] = Tissue.SCAR


def _around(mask: np.ndarray, margin: np.ndarray) -> tuple[slice, ...]:
    """The mask's bounding box, wider by ``margin`` voxels."""
    found = [np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    return tuple(slice(max(f[0] - m, 0), f[-1] + m + 1) for f, m in zip(found, margin, strict=True))


def _paint_leaflets(canvas: Canvas, opening: np.ndarray, size: float, rng: np.random.Generator) -> None:
    """A faint sheet across a part of the opening: valves move, and are seen only in some scans."""
    side, hidden = rng.normal(size=3), rng.uniform(0.2, 0.9)
    if not opening.any():
        return
    distance = _beyond_valve_mm(canvas, size)
    place = sum(np.float32(s) * axis for s, axis in zip(side, canvas.body, strict=True))
    sheet = opening & (distance < _LEAFLET_MM) & (place > np.quantile(place[opening], hidden))
    canvas.tissue[sheet] = Tissue.LEAFLET
