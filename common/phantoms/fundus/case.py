"""One case of the fundus phantom: a random eye, lit and photographed by its domain's camera.

Coordinates: u to the temporal side (towards the macula), v downwards, in disc diameters from the
disc's centre.  Half of the eyes are left ones, whose temporal side is the picture's right.
"""

from __future__ import annotations

import numpy as np

from common.phantoms.fundus.disc import Disc, draw_disc
from common.phantoms.fundus.vessels import vessel_light
from common.phantoms.making.camera import Camera, smooth_noise, take_picture

__all__ = ["CAMERAS", "make_case"]

# Rows: sensor's red, green, blue.  Chosen so that neither min-max of a picture nor a z-score per channel
# undoes the differences: channels mix, curves bend, and light falls off by different amounts.
CAMERAS = {
    "A": Camera(
        tone=((1.00, 0.05, 0.00), (0.05, 0.92, 0.03), (0.00, 0.10, 0.85)),
        contrast=1.05, blur=0.003, vignette=0.18, tilt=0.25, noise=0.008,
    ),
    "B": Camera(
        tone=((1.10, 0.10, 0.00), (0.16, 0.72, 0.04), (0.10, 0.20, 0.60)),
        gamma=(0.90, 1.15, 1.20), contrast=0.95, blur=0.005, vignette=0.30, tilt=0.20, noise=0.012,
    ),
    "C": Camera(
        tone=((0.72, 0.16, 0.02), (0.16, 0.60, 0.14), (0.04, 0.34, 0.40)),
        gamma=(1.25, 1.30, 1.10), contrast=0.70, brightness=0.80, blur=0.008, vignette=0.50, tilt=0.25,
        noise=0.014,
    ),
    "D": Camera(
        tone=((1.05, 0.22, 0.08), (0.34, 0.72, 0.16), (0.24, 0.36, 0.60)),
        gamma=(0.75, 0.85, 0.85), contrast=0.85, brightness=1.10, blur=0.014, vignette=0.20, tilt=0.35,
        noise=0.010,
    ),
    "E": Camera(
        tone=((0.86, 0.12, 0.00), (0.04, 0.98, 0.00), (0.00, 0.30, 0.55)),
        gamma=(1.45, 1.25, 1.40), contrast=1.30, brightness=0.92, blur=0.004, vignette=0.62, tilt=0.25,
        noise=0.028,
    ),
}  # fmt: skip
_SIZES = {"A": 1.0, "B": 1.1, "C": 0.9, "D": 1.3, "E": 1.2}  # of the picture's side

_WIDTH_DD = (2.7, 3.7)  # the crop's width in disc diameters, as 800 pixels around discs of 215 to 300
_OFF_CENTRE_DD = 0.22  # sd
_RETINA = np.array((0.74, 0.34, 0.15))
_FUNDUS_COLOUR_SD = np.array((0.05, 0.07, 0.09))  # of the logarithm: pigment
_MACULA_DD = 2.3  # from the disc's centre; its halo reaches into the crop
_MACULA_COLOUR = np.array((0.70, 0.55, 0.55))
_EXUDATE = np.array((0.93, 0.78, 0.40))
_EXUDATE_CHANCE = 0.55
_REFLEX = np.array((0.96, 0.80, 0.55))  # haze where the camera's ring of light meets the pupil's margin
_REFLEX_CHANCE = 0.4
_SHEEN = np.array((0.10, 0.13, 0.08))  # nerve fibres above and below the disc


def make_case(domain: str, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw, light and photograph one eye.

    Args:
        domain: a key of ``CAMERAS``.
        size: pixels of a side in domain A.
        rng: this case's random numbers.

    Returns:
        picture (S, S, 3) uint8 and label (S, S) uint8: 0 background, 1 disc rim, 2 cup.
    """
    pixels = round(size * _SIZES[domain])
    width = rng.uniform(*_WIDTH_DD)
    side = 1 if rng.random() < 0.5 else -1
    middle = rng.normal(0, _OFF_CENTRE_DD, 2)
    along = ((np.arange(pixels) + 0.5) / pixels - 0.5) * width
    u, v = np.meshgrid(side * (along - middle[0]), along - middle[1], indexing="xy")
    disc = draw_disc(rng)
    scene = _retina(u, v, pixels / width, rng)
    scene = _add_exudates(scene, u, v, rng)
    scene = disc.paint(scene, u, v, rng)
    scene = scene * vessel_light(u, v, disc, rng)
    scene = _add_reflex(scene, u, v, width, rng)
    return take_picture(np.clip(scene, 0, 1), CAMERAS[domain], rng), _label(u, v, disc)


def _label(u: np.ndarray, v: np.ndarray, disc: Disc) -> np.ndarray:
    label = (disc.depth(u, v) > 0).astype(np.uint8)
    label[(disc.cup_depth(u, v) > 0) & (label > 0)] = 2
    return label


def _retina(u: np.ndarray, v: np.ndarray, pixels_per_dd: float, rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3): pigment, choroid, the macula's halo and the sheen of the nerve fibres."""
    colour = _RETINA * np.exp(rng.normal(0, 1, 3) * _FUNDUS_COLOUR_SD)
    choroid = 0.6 * smooth_noise(u.shape, 0.25 * pixels_per_dd, rng)
    choroid += 0.4 * smooth_noise(u.shape, 0.05 * pixels_per_dd, rng)
    scene = colour * np.exp(rng.uniform(0.04, 0.11) * choroid)[..., None]
    macula = np.exp(-((u - _MACULA_DD) ** 2 + (v - 0.3) ** 2) / (2 * rng.uniform(0.5, 0.8) ** 2))
    scene *= 1 - macula[..., None] * (1 - _MACULA_COLOUR)
    # Two bundles of fibres leave the disc above and below and bend towards the temporal side.
    arc = np.abs(v) - (0.55 + 0.25 * np.abs(u - 0.2))
    sheen = np.exp(-((arc / 0.35) ** 2)) * np.exp(-(u**2 + v**2) / 1.6)
    return scene + rng.uniform(0.3, 1.4) * sheen[..., None] * _SHEEN


def _add_exudates(scene: np.ndarray, u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bright spots beside the disc in some eyes, as bright as the cup."""
    if rng.random() > _EXUDATE_CHANCE:
        return scene
    direction, distance = rng.uniform(0, 2 * np.pi), rng.uniform(0.9, 1.4)
    middle = distance * np.array((np.cos(direction), np.sin(direction)))
    for _ in range(int(rng.integers(3, 16))):
        x, y = middle + rng.normal(0, 0.2, 2)
        radius = rng.uniform(0.02, 0.10)
        spot = 1 / (1 + np.exp((np.hypot(u - x, v - y) - radius) / 0.015))
        scene = scene + (rng.uniform(0.5, 1.0) * spot)[..., None] * (_EXUDATE - scene)
    return scene


def _add_reflex(
    scene: np.ndarray, u: np.ndarray, v: np.ndarray, width: float, rng: np.random.Generator
) -> np.ndarray:
    """A crescent of haze along one margin of some pictures."""
    if rng.random() > _REFLEX_CHANCE:
        return scene
    direction, far = rng.uniform(0, 2 * np.pi), rng.uniform(1.2, 2.0) * width
    middle = (rng.uniform(0.40, 0.55) * width + far) * np.array((np.cos(direction), np.sin(direction)))
    depth = far - np.hypot(u - middle[0], v - middle[1])
    share = rng.uniform(0.4, 0.9) / (1 + np.exp(np.clip(-depth / (0.05 * width), -60, 60)))
    return scene + share[..., None] * (_REFLEX - scene)
