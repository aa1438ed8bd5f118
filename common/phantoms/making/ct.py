"""A CT scanner for phantoms: from finely painted tissues to a noisy image and its label map.

Axes of every array: (X, Y, Z).  A voxel of the scan covers ``SUPERSAMPLING`` fine voxels per axis.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

__all__ = ["SUPERSAMPLING", "block_mean", "majority_label", "scan"]

SUPERSAMPLING = 2

_NOISE_SD_HU = (14.0, 23.0)  # between cases: dose and patient size
_NOISE_GRAIN_VOXELS = (0.6, 0.6, 0.35)  # the reconstruction kernel's correlation
_TEXTURE_GRAIN_VOXELS = (1.3, 1.3, 0.9)
_HU_RANGE = (-1024, 2000)


def block_mean(fine: np.ndarray) -> np.ndarray:
    """float32: the mean of each scan voxel's fine voxels."""
    s = SUPERSAMPLING
    total = np.zeros([n // s for n in fine.shape], np.float32)
    for offset in np.ndindex(s, s, s):
        total += fine[tuple(slice(o, None, s) for o in offset)]
    return total / s**3


def majority_label(fine: np.ndarray, *, classes: int) -> np.ndarray:
    """uint8: the most frequent label of each scan voxel; an organ wins a tie with background.

    Args:
        fine: label values in 0..classes-1.
        classes: their number, background included.
    """
    s = SUPERSAMPLING
    best = np.zeros([n // s for n in fine.shape], np.uint8)
    most = np.zeros_like(best)
    for value in [*range(1, classes), 0]:
        votes = np.zeros_like(best)
        for offset in np.ndindex(s, s, s):
            votes += fine[tuple(slice(o, None, s) for o in offset)] == value
        wins = votes > most
        best[wins], most[wins] = value, votes[wins]
    return best


def scan(
    tissue: np.ndarray,
    *,
    attenuation: np.ndarray,
    texture: np.ndarray,
    rng: np.random.Generator,
    noise_sd: tuple[float, float] = _NOISE_SD_HU,
) -> np.ndarray:
    """int16 HU image with partial volume, structure inside the tissues and correlated noise.

    Args:
        tissue: uint8, fine grid.
        attenuation: HU of each tissue number.
        texture: sd in HU of each tissue number.
        rng: draws structure and noise.
        noise_sd: lowest and highest, in HU.
    """
    image = block_mean(attenuation[tissue])
    image += block_mean(texture[tissue]) * _grain(image.shape, _TEXTURE_GRAIN_VOXELS, rng)
    image += rng.uniform(*noise_sd) * _grain(image.shape, _NOISE_GRAIN_VOXELS, rng)
    return np.clip(np.rint(image), *_HU_RANGE).astype(np.int16)


def _grain(shape: tuple[int, ...], sigma: tuple[float, float, float], rng: np.random.Generator) -> np.ndarray:
    """Correlated normal noise of mean 0 and sd 1."""
    field = gaussian_filter(rng.standard_normal(shape, dtype=np.float32), sigma, mode="wrap")
    return field / field.std()
