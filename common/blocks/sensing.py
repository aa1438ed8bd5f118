"""Compressed sensing: bases in which signals are sparse, and operators that measure them."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

__all__ = ["BASES", "basis_matrix", "gaussian_operator", "measurement_noise"]

BASES = ("identity", "dct", "haar", "daubechies2")

_ROOT3 = math.sqrt(3.0)
#: Low-pass filters of orthonormal wavelets (Daubechies, 1992); daubechies2 has two vanishing moments.
_LOW_PASS = {
    "haar": [1 / math.sqrt(2)] * 2,
    "daubechies2": [c / (4 * math.sqrt(2)) for c in (1 + _ROOT3, 3 + _ROOT3, 3 - _ROOT3, 1 - _ROOT3)],
}


def basis_matrix(name: str, length: int) -> Tensor:
    """Psi (N, N), orthonormal, float64: signal = Psi @ coefficients.

    "identity"; "dct" (type II cosines); "haar" and "daubechies2": periodic wavelets, the coarsest
    coefficients first, with levels for as long as the length is even and no shorter than the filter.

    Raises:
        ValueError: an unknown name, or a wavelet for a length that is odd or shorter than the filter.
    """
    if name == "identity":
        return torch.eye(length, dtype=torch.float64)
    if name == "dct":
        place, frequency = np.arange(length), np.arange(length)
        waves = np.cos(np.pi * (2 * place[:, None] + 1) * frequency[None, :] / (2 * length))
        waves *= np.sqrt(np.where(frequency == 0, 1, 2) / length)
        return torch.from_numpy(waves)
    if name not in _LOW_PASS:
        raise ValueError(f"basis={name!r}; expected one of {', '.join(BASES)}")
    return torch.from_numpy(_wavelet_analysis(np.array(_LOW_PASS[name]), length).T.copy())


def _wavelet_analysis(low: np.ndarray, length: int) -> np.ndarray:
    """(N, N): rows are the wavelets, so coefficients = matrix @ signal."""
    if length % 2 or length < len(low):
        raise ValueError(f"length={length}; a wavelet basis needs an even length of at least {len(low)}")
    high = low[::-1] * (-1.0) ** np.arange(len(low))
    whole, size = np.eye(length), length
    while size % 2 == 0 and size >= len(low):
        level = np.zeros((size, size))
        for k in range(size // 2):
            for tap in range(len(low)):
                level[k, (2 * k + tap) % size] += low[tap]
                level[size // 2 + k, (2 * k + tap) % size] += high[tap]
        whole[:size] = level @ whole[:size]
        size //= 2
    return whole


def gaussian_operator(measurements: int, length: int, *, seed: int, unit_columns: bool = True) -> Tensor:
    """Phi (M, N) float64 of independent normal numbers; columns scaled to norm 1 if ``unit_columns``."""
    phi = np.random.default_rng(seed).standard_normal((measurements, length))
    if unit_columns:
        phi /= np.linalg.norm(phi, axis=0)
    return torch.from_numpy(phi)


def measurement_noise(
    clean: np.ndarray, snr_db: float, rng: np.random.Generator, *, shared: bool = True
) -> np.ndarray:
    """Normal noise of the shape of ``clean`` (M,) or (M, W), by each column's deviation (divisor M - 1).

    Args:
        clean: measurements without noise.
        snr_db: deviation of the measurements over that of the noise, in decibel.
        rng: generator.
        shared: one vector (M,) for all columns, which only its size fits to each; otherwise one for each.
    """
    size = clean.std(axis=0, ddof=1, keepdims=True) * 10 ** (-snr_db / 20)
    drawn = rng.standard_normal((len(clean), *(1 if shared else width for width in clean.shape[1:])))
    return size * drawn
