"""One case of the polyp phantom: a piece of colon as a relief, lit from the endoscope's tip.

Coordinates: x to the right, y down, in frame heights from the frame's middle.  The mucosa is a height
map towards the camera; shading follows from its slope, since light and lens are in the same place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from common.phantoms.making.camera import Camera, smooth_noise, take_picture

__all__ = ["SCOPES", "make_case"]


@dataclass(frozen=True)
class Scope:
    """One domain: the camera, the frame and what lies before it.

    Attributes:
        camera: tone, light, sharpness.
        aspect: width over height.
        corner: radius of the round frame in frame heights; what lies outside is black.
        polyp_radius: range in frame heights.
        redness: how far a polyp's colour is from the mucosa's.
        highlights: specular highlights, mean number.
    """

    camera: Camera
    aspect: float
    corner: float
    polyp_radius: tuple[float, float]
    redness: float
    highlights: float


SCOPES = {
    "A": Scope(
        Camera(tone=((1.00, 0.10, 0.00), (0.05, 0.90, 0.05), (0.00, 0.15, 0.85)), blur=0.003, vignette=0.35),
        aspect=1.25, corner=0.78, polyp_radius=(0.10, 0.28), redness=1.0, highlights=5,
    ),
    "B": Scope(
        Camera(
            tone=((0.80, 0.20, 0.05), (0.25, 0.62, 0.10), (0.22, 0.30, 0.50)),
            gamma=(1.10, 1.20, 1.10), contrast=0.80, brightness=0.90, blur=0.006, vignette=0.50, noise=0.015,
        ),
        aspect=1.30, corner=0.74, polyp_radius=(0.09, 0.22), redness=0.8, highlights=9,
    ),
    "C": Scope(
        Camera(
            tone=((1.05, 0.00, 0.00), (0.10, 0.70, 0.00), (0.08, 0.20, 0.45)),
            gamma=(0.85, 1.25, 1.35), contrast=1.15, blur=0.002, vignette=0.55, tilt=0.25, noise=0.012,
        ),
        aspect=1.27, corner=0.80, polyp_radius=(0.06, 0.14), redness=0.7, highlights=14,
    ),
    "D": Scope(
        Camera(
            tone=((0.95, 0.20, 0.10), (0.30, 0.72, 0.14), (0.22, 0.40, 0.50)),
            gamma=(0.80, 0.85, 0.85), contrast=0.85, brightness=1.08, blur=0.009, vignette=0.25, tilt=0.30,
        ),
        aspect=1.08, corner=0.70, polyp_radius=(0.12, 0.32), redness=0.9, highlights=7,
    ),
}  # fmt: skip

_MUCOSA = np.array((0.80, 0.46, 0.38))
_POLYP = np.array((0.84, 0.36, 0.30))  # more blood than the mucosa around
_COLOUR_SD = np.array((0.04, 0.08, 0.09))  # of the logarithm
_SECOND_POLYP_CHANCE = 0.15
_REDNESS = ((0.12, 0.10), (0.10, 0.02))  # the mucosa's own: strength, grain in frame heights
_RELIEF = ((0.006, 0.06), (0.001, 0.008))
_FOLDS = (2, 5)
_LUMEN_CHANCE = 0.6
_BUBBLE_CHANCE = 0.3


def make_case(domain: str, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw, light and photograph one piece of colon.

    Args:
        domain: a key of ``SCOPES``.
        size: height of the frame in pixels.
        rng: this case's random numbers.

    Returns:
        picture (H, W, 3) uint8 and label (H, W) uint8: 0 background, 1 polyp.
    """
    scope = SCOPES[domain]
    height, width = size, round(size * scope.aspect)
    x, y = np.meshgrid(
        ((np.arange(width) + 0.5) - width / 2) / height, (np.arange(height) + 0.5) / height - 0.5
    )
    relief = _folds(x, y, rng)
    relief += sum(share * smooth_noise(x.shape, grain * height, rng) for share, grain in _RELIEF)
    redness = 0.12 * smooth_noise(x.shape, 0.10 * height, rng) + 0.10 * smooth_noise(
        x.shape, 0.02 * height, rng
    )
    label = np.zeros(x.shape, np.uint8)
    for _ in range(1 + (rng.random() < _SECOND_POLYP_CHANCE)):
        relief, redness, label = _add_polyp(relief, redness, label, x, y, scope, rng)
    mucosa = _MUCOSA * np.exp(rng.normal(0, 1, 3) * _COLOUR_SD)
    share = np.clip(redness, -0.4, 1.2)[..., None]
    scene = mucosa + share * (_POLYP * np.exp(rng.normal(0, 1, 3) * 0.4 * _COLOUR_SD) - mucosa)
    scene *= _shading(relief, height)[..., None]
    scene *= _lumen(x, y, label, rng)[..., None]
    scene = _highlights(scene, relief, scope, rng)
    image = take_picture(np.clip(scene, 0, 1.1), scope.camera, rng)
    outside = np.hypot(x, y) > scope.corner
    image[outside] = rng.integers(0, 6)
    label[outside] = 0
    return image, label


def _folds(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Haustral folds: ridges along arcs around a centre outside the frame's middle."""
    direction, away = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1.5)
    distance = np.hypot(x - away * np.cos(direction), y - away * np.sin(direction))
    relief = np.zeros_like(x)
    for _ in range(int(rng.integers(*_FOLDS))):
        at, width = rng.uniform(away - 0.6, away + 0.6), rng.uniform(0.04, 0.10)
        wobble = 0.03 * np.sin(rng.uniform(3, 7) * (x * np.sin(direction) - y * np.cos(direction)) * 2)
        relief += rng.uniform(0.03, 0.08) * np.exp(-(((distance + wobble - at) / width) ** 2))
    return relief


def _add_polyp(
    relief: np.ndarray,
    redness: np.ndarray,
    label: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    scope: Scope,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A dome with a bumpy outline: flat or bulging, redder than its surroundings or hardly so."""
    radius = rng.uniform(*scope.polyp_radius)
    reach = max(scope.corner - radius - 0.05, 0.05)
    half = np.array((scope.aspect / 2 - radius, 0.5 - radius)) * 0.9
    direction, away = rng.uniform(0, 2 * np.pi), min(reach, 0.5) * np.sqrt(rng.random())
    middle = np.clip(away * np.array((np.cos(direction), np.sin(direction))), -half, half)
    turn, flat = rng.uniform(0, np.pi), rng.uniform(0.65, 1.0)
    u = (x - middle[0]) * np.cos(turn) + (y - middle[1]) * np.sin(turn)
    v = (-(x - middle[0]) * np.sin(turn) + (y - middle[1]) * np.cos(turn)) / flat
    angle = np.arctan2(v, u)
    edge = radius * (
        1 + sum(rng.uniform(0, 0.10) * np.cos(k * angle + rng.uniform(0, 2 * np.pi)) for k in (2, 3, 5))
    )
    inside = np.hypot(u, v) / edge  # 1 on the outline
    dome = np.clip(1 - inside**2, 0, None) ** rng.uniform(0.6, 1.1) * radius * rng.uniform(0.45, 0.9)
    colour = scope.redness * rng.uniform(0.25, 0.9) / (1 + np.exp(np.clip((inside - 1) / 0.04, -60, 60)))
    return relief + dome, redness + colour, np.where(inside < 1, 1, label).astype(np.uint8)


def _shading(relief: np.ndarray, height: int) -> np.ndarray:
    """(H, W): the light that a slope sends back to the lens, which is where it comes from."""
    smooth = gaussian_filter(relief, 0.006 * height)
    down, across = np.gradient(smooth, 1 / height)
    return (1 + 0.35 * (down**2 + across**2)) ** -0.75 * (1 + 0.6 * (smooth - smooth.mean()))


def _lumen(x: np.ndarray, y: np.ndarray, label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(H, W): darkness of the open colon, away from the polyp's middle."""
    if rng.random() > _LUMEN_CHANCE:
        return np.ones_like(x)
    where = np.argwhere(label)
    polyp = (
        where.mean(axis=0) / x.shape[0] - (0.5, x.shape[1] / x.shape[0] / 2) if len(where) else np.zeros(2)
    )
    direction = np.arctan2(-polyp[0], -polyp[1]) + rng.normal(0, 0.5)
    middle = rng.uniform(0.3, 0.5) * np.array((np.cos(direction), np.sin(direction)))
    distance = np.hypot((x - middle[0]) / rng.uniform(0.8, 1.3), y - middle[1]) / rng.uniform(0.10, 0.22)
    return 1 - 0.85 / (1 + np.exp(np.clip(4 * (distance - 1), -60, 60)))


def _highlights(scene: np.ndarray, relief: np.ndarray, scope: Scope, rng: np.random.Generator) -> np.ndarray:
    """White spots where wet mucosa faces the lens, on polyps and folds above all; bubbles in some frames."""
    height, width = relief.shape
    rows, columns = np.indices(relief.shape)
    chance = np.exp(12 * (relief - relief.max())).ravel() + 0.05
    for _ in range(int(rng.poisson(scope.highlights))):
        at = int(rng.choice(relief.size, p=chance / chance.sum()))
        long, thin = rng.uniform(0.006, 0.03) * height, rng.uniform(0.004, 0.010) * height
        turn = rng.uniform(0, np.pi)
        y, x = rows - at // width, columns - at % width
        u, v = x * np.cos(turn) + y * np.sin(turn), -x * np.sin(turn) + y * np.cos(turn)
        spot = np.exp(-((u / long) ** 2) - (v / thin) ** 2)[..., None]
        scene = scene + rng.uniform(0.5, 1.0) * spot * (1.1 - scene)
    if rng.random() < _BUBBLE_CHANCE:
        for _ in range(int(rng.integers(2, 8))):
            radius = rng.uniform(0.01, 0.035) * height
            distance = np.hypot(rows - rng.uniform(0, height), columns - rng.uniform(0, width))
            ring = np.exp(-(((distance - radius) / (0.25 * radius)) ** 2))[..., None]
            scene = scene + 0.35 * ring * (1.0 - scene)
    return scene
