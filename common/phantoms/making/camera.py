"""A colour camera for phantoms: from a scene to the 8-bit picture of one domain's camera.

Scenes and pictures are (H, W, 3), rows from the top; a scene's values are reflected light in 0..1.
All that changes between domains is here, so that a domain is one :class:`Camera`.  Gains alone would be
undone by scaling each channel, so the tone is a matrix and a curve per channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

__all__ = ["Camera", "smooth_noise", "take_picture"]

_BRIGHTNESS_LOG_SD = 0.16  # between pictures of one camera
_TONE_LOG_SD = 0.04
_BLUR_SPREAD = (0.7, 1.4)
_VIGNETTE_OFF_CENTRE = 0.12  # sd, of the picture's half width


@dataclass(frozen=True)
class Camera:
    """How a domain's pictures look.

    Attributes:
        tone: (3, 3), scene's red, green, blue to the sensor's.
        gamma: exponent of each channel's curve; above 1 darkens the middle tones.
        contrast: slope around the picture's own mean; 1 changes nothing.
        brightness: factor on the light.
        blur: sd of the optics, as a fraction of the picture's width.
        vignette: share of the light that is lost in the corners, 0..1.
        tilt: illumination falls by this share from one side to the other.
        noise: sd of the sensor's noise, in 0..1 of the range.
    """

    tone: tuple[tuple[float, float, float], ...]
    gamma: tuple[float, float, float] = (1.0, 1.0, 1.0)
    contrast: float = 1.0
    brightness: float = 1.0
    blur: float = 0.002
    vignette: float = 0.1
    tilt: float = 0.1
    noise: float = 0.01


def take_picture(scene: np.ndarray, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """uint8 picture (H, W, 3) of a scene (H, W, 3) float, 0..1."""
    light = scene * _illumination(scene.shape[:2], camera, rng)[..., None]
    tone = np.asarray(camera.tone) * np.exp(rng.normal(0, _TONE_LOG_SD, (3, 1)))
    light = np.clip(light @ tone.T, 0, None) * camera.brightness * np.exp(rng.normal(0, _BRIGHTNESS_LOG_SD))
    sd = camera.blur * scene.shape[1] * rng.uniform(*_BLUR_SPREAD)
    light = gaussian_filter(light, (sd, sd, 0))
    image = np.clip(light, 0, 1.2) ** np.asarray(camera.gamma)
    mean = image.mean(axis=(0, 1))
    image = mean + camera.contrast * (image - mean)
    image += rng.normal(0, camera.noise, image.shape)
    return np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)


def smooth_noise(shape: Sequence[int], grain: float, rng: np.random.Generator) -> np.ndarray:
    """A smooth random field (H, W) of mean 0 and sd 1; ``grain`` is the filter's sd in pixels."""
    field = gaussian_filter(rng.standard_normal(tuple(shape)), grain, mode="wrap")
    field -= field.mean()
    return field / (field.std() + 1e-9)


def _illumination(shape: Sequence[int], camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """(H, W): 1 in the middle, less in the corners and on one side."""
    height, width = shape
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    across, down = rng.normal(0, _VIGNETTE_OFF_CENTRE, 2)
    distance = ((x - across) ** 2 + (y - down) ** 2) / 2  # 1 in a corner
    direction = rng.uniform(0, 2 * np.pi)
    slope = camera.tilt / 2 * rng.uniform(0.5, 1.5)
    side = slope * (np.cos(direction) * x + np.sin(direction) * y)
    return (1 - camera.vignette * distance) * (1 + side)
