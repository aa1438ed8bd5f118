"""An MR scanner for phantoms: from finely painted tissues to a noisy magnitude image.

Axes of every array: (X, Y, Z).  A voxel of the scan covers ``SUPERSAMPLING`` fine voxels per axis.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from common.phantoms.making.ct import block_mean

__all__ = ["magnitude_scan"]

_BLUR_VOXELS = (0.35, 0.75)  # between cases: breathing and heart beat during the acquisition
_NOISE_SD = (0.06, 0.17)  # of one channel, relative to a signal of 1
_NOISE_GRAIN_VOXELS = 0.45  # zero filling in k-space
_TEXTURE_GRAIN_VOXELS = 1.1
_BIAS_LOG_SD = 0.16  # of the logarithm over the volume: distance from the coil's elements
_BIAS_WAVELENGTHS = (0.8, 2.0)  # of the field's cosines, in volumes
_BIAS_WAVES = 4
_GHOST_CHANCE = 0.4
_GHOST_STRENGTH = (0.03, 0.10)
_GAIN = (180.0, 620.0)  # stored value of a signal of 1: scanners have no common unit


def magnitude_scan(
    tissue: np.ndarray,
    *,
    signal: np.ndarray,
    texture: np.ndarray,
    rng: np.random.Generator,
    noise_sd: tuple[float, float] = _NOISE_SD,
    blur_voxels: tuple[float, float] = _BLUR_VOXELS,
    gain: tuple[float, float] = _GAIN,
    sensitivity: np.ndarray | float = 1.0,
) -> np.ndarray:
    """int16 image in arbitrary units, not negative.

    Partial volume, structure inside tissues, blur, a ghost along y in some cases, a smooth bias
    field, Rician noise and the scan's own gain.

    Args:
        tissue: uint8, fine grid.
        signal: of each tissue number, 1 for the brightest common tissue.
        texture: sd of the structure inside each tissue number.
        rng: draws everything random.
        noise_sd: lowest and highest of one channel, relative to a signal of 1.
        blur_voxels: lowest and highest sd.
        gain: lowest and highest stored value of a signal of 1.
        sensitivity: the coil's, (X, Y, Z) of the scan or one number, on top of the smooth field.
    """
    image = block_mean(signal[tissue])
    image += block_mean(texture[tissue]) * _grain(image.shape, _TEXTURE_GRAIN_VOXELS, rng)
    image = gaussian_filter(image, rng.uniform(*blur_voxels))
    if rng.random() < _GHOST_CHANCE:
        shift = int(rng.integers(image.shape[1] // 4, image.shape[1] // 2 + 1))
        image += np.float32(rng.uniform(*_GHOST_STRENGTH)) * np.roll(image, shift, axis=1)
    image *= _bias_field(image.shape, rng) * sensitivity
    noise = rng.uniform(*noise_sd)
    real, imaginary = (noise * _grain(image.shape, _NOISE_GRAIN_VOXELS, rng) for _ in range(2))
    stored = rng.uniform(*gain) * np.hypot(image + real, imaginary)
    return np.clip(np.rint(stored), 0, np.iinfo(np.int16).max).astype(np.int16)


def _bias_field(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """float32, (X, Y, Z): a smooth factor whose logarithm has mean 0."""
    grids = np.meshgrid(*(np.linspace(0, 1, n, dtype=np.float32) for n in shape), indexing="ij", sparse=True)
    field = np.zeros(shape, np.float32)
    for _ in range(_BIAS_WAVES):
        direction = rng.normal(size=3)
        wave = 2 * np.pi / rng.uniform(*_BIAS_WAVELENGTHS) * direction / np.linalg.norm(direction)
        phase = rng.uniform(0, 2 * np.pi)
        field += np.cos(sum(np.float32(w) * g for w, g in zip(wave, grids, strict=True)) + np.float32(phase))
    field -= field.mean()
    return np.exp(_BIAS_LOG_SD * rng.uniform(0.5, 1.5) * field / (field.std() + 1e-6))


def _grain(shape: tuple[int, ...], sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Correlated normal noise of mean 0 and sd 1."""
    field = gaussian_filter(rng.standard_normal(shape, dtype=np.float32), sigma, mode="wrap")
    return field / (field.std() + np.float32(1e-6))
