"""Signals described by a few coefficients: synthetic blocks, heart beats, spectra, and pictures.

Every function draws one signal (N,) or picture (N, W) from its generator; float64.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["KINDS", "block_sparse", "ecg", "equal_blocks", "picture", "pulse_wave", "spectrum"]

Random = np.random.Generator

_MILLISECONDS = 1000.0 / 162  # of one sample: a recording of 162 samples lasts a second


def _autoregressive(length: int, rho: float, rng: Random) -> np.ndarray:
    """Normal numbers with the correlation rho^|i-j|."""
    distance = np.abs(np.subtract.outer(np.arange(length), np.arange(length)))
    return np.linalg.cholesky(rho**distance + 1e-12 * np.eye(length)) @ rng.standard_normal(length)


def _run_lengths(total: int, runs: int, rng: Random) -> np.ndarray:
    """``runs`` lengths that add up to ``total``: at least 3 each, and the last at least 2, for which its
    neighbour may give up one.
    """
    cuts = np.sort(rng.choice(np.arange(1, total - 2 * (runs - 1)), runs - 1, replace=False))
    lengths = np.diff(np.concatenate([[0], cuts + 2 * np.arange(1, runs), [total]]))
    if lengths[-1] == 1:
        lengths[-2:] += [-1, 1]
    return lengths


def _run_starts(n: int, lengths: np.ndarray, rng: Random) -> np.ndarray:
    """Where the runs begin: at random, and moved right until neighbours share one sample at most."""
    starts = np.sort(rng.integers(0, n - lengths.max() + 1, len(lengths)))
    for i, length in enumerate(lengths[:-1]):
        starts[i + 1] = max(starts[i + 1], starts[i] + length - 1)
    return starts


def block_sparse(n: int, rng: Random, *, runs: int = 4, share: float = 40 / 162) -> np.ndarray:
    """Runs of unequal length and unequal variances at random places
    (divsbl/docs/method.md#synthetic-signals).

    Args:
        n: samples.
        rng: generator.
        runs: number of runs; neighbours may touch, and may share a sample, which is then the later one's.
        share: of the samples that the runs' lengths add up to; 40 of 162 in the paper.  Fewer are not 0
            where runs share a sample, or the last one reaches beyond the signal and is cut.

    In a run x = G u, u with the correlation rho^|i-j|, rho from U(0, 1); the first g is 1, the others are
    whole numbers from 1 to 20.
    """
    lengths = _run_lengths(round(share * n), runs, rng)
    x = np.zeros(n)
    for begin, length in zip(_run_starts(n, lengths, rng), lengths, strict=True):
        size = np.concatenate([[1], rng.integers(1, 21, length - 1)])
        x[begin : begin + length] = (size * _autoregressive(length, rng.uniform(), rng))[: max(n - begin, 0)]
    return x


def equal_blocks(n: int, rng: Random) -> np.ndarray:
    """Four runs of 10 on a grid of 10, correlated as 0.99^|i-j|: what preset blocks can describe."""
    x = np.zeros(n)
    for place in rng.choice(n // 10, 4, replace=False):
        x[10 * place : 10 * place + 10] = _autoregressive(10, 0.99, rng)
    return x


def _beats(n: int, rng: Random) -> tuple[np.ndarray, np.ndarray]:
    """Times (ms) of the samples, and of the beats at 60 to 110 a minute, irregular by 3 percent."""
    time = np.arange(n) * _MILLISECONDS
    interval = 60_000 / rng.uniform(60, 110)
    steps = interval * rng.normal(1, 0.03, int(n * _MILLISECONDS / interval) + 3)
    return time, np.cumsum(steps) - interval * rng.uniform(1, 2)


def ecg(n: int, rng: Random) -> np.ndarray:
    """An electrocardiogram in mV: P, Q, R, S and T waves of every beat; sparse in cosines."""
    time, beats = _beats(n, rng)
    size = rng.uniform(0.8, 1.2, 5)
    # amplitude mV, place and width in ms after the R wave
    waves = [(0.15, -160, 30), (-0.12, -35, 14), (1.1, 0, 18), (-0.25, 35, 16), (0.3, 250, 55)]
    x = np.zeros(n)
    for beat in beats:
        for scale, (amplitude, place, width) in zip(size, waves, strict=True):
            x += scale * amplitude * np.exp(-0.5 * ((time - beat - place) / width) ** 2)
    return x


def pulse_wave(n: int, rng: Random) -> np.ndarray:
    """A photoplethysmogram: systolic wave and the dicrotic one after it, and breathing; sparse in cosines."""
    time, beats = _beats(n, rng)
    notch, delay = rng.uniform(0.35, 0.6), rng.uniform(240, 320)
    x = 0.1 * np.sin(2 * np.pi * time / rng.uniform(2500, 5000) + rng.uniform(0, 2 * np.pi))
    for beat in beats:
        x += np.exp(-0.5 * ((time - beat) / 90) ** 2)
        x += notch * np.exp(-0.5 * ((time - beat - delay) / 110) ** 2)
    return x - x.mean()


def spectrum(n: int, rng: Random) -> np.ndarray:
    """A proton spectrum of the brain without water: lines of metabolites on a zero baseline; sparse as it is.

    Axis: 4.1 to 0.5 ppm over the samples.
    """
    ppm = np.linspace(4.1, 0.5, n)
    # ppm, mean amplitude, lines 0.06 ppm apart: NAA, glutamate, creatine, choline, inositol, lactate
    metabolites = [(2.02, 10, 1), (2.35, 4, 3), (3.03, 7, 1), (3.22, 6, 1), (3.56, 5, 2), (1.33, 3, 2)]
    x = np.zeros(n)
    width = rng.uniform(0.018, 0.03)
    for place, amplitude, lines in metabolites:
        height = amplitude * rng.uniform(0.4, 1.6)
        for k in range(lines):
            away = ppm - place - 0.06 * (k - (lines - 1) / 2)
            x += height * np.exp(-0.5 * (away / width) ** 2)
    return np.where(x < 1e-3, 0, x)


def picture(n: int, rng: Random) -> np.ndarray:
    """A slice through a head (N, N), 0 to 255: skull, brain with a gradient, ventricles, a few lesions."""
    y, x = np.mgrid[-1 : 1 : n * 1j, -1 : 1 : n * 1j]

    def ellipse(cx: float, cy: float, a: float, b: float, turn: float) -> np.ndarray:
        u, v = x - cx, y - cy
        along, across = u * np.cos(turn) + v * np.sin(turn), v * np.cos(turn) - u * np.sin(turn)
        return (along / a) ** 2 + (across / b) ** 2 < 1

    a, b, turn = rng.uniform(0.6, 0.72), rng.uniform(0.78, 0.9), rng.uniform(-0.15, 0.15)
    image = np.zeros((n, n))
    image[ellipse(0, 0, a, b, turn)] = rng.uniform(200, 240)
    inside = ellipse(0, 0, a - 0.07, b - 0.07, turn)
    image[inside] = (rng.uniform(90, 130) + 25 * x + 15 * y)[inside]
    for side in (-1, 1):
        image[ellipse(side * 0.13, -0.05, 0.07, rng.uniform(0.2, 0.3), side * 0.25 + turn)] = 35
    for _ in range(rng.integers(2, 5)):
        place = rng.uniform(-0.35, 0.35, 2)
        spot = ellipse(*place, *rng.uniform(0.03, 0.1, 2), rng.uniform(0, 3))
        image[spot & inside] = rng.uniform(150, 200)
    return np.clip(image, 0, 255).round()


#: kind -> (generator, basis in which it is sparse, in words)
KINDS: dict[str, tuple[Callable[[int, Random], np.ndarray], str, str]] = {
    "heteroscedastic": (block_sparse, "identity", "runs of unequal length and variance"),
    "homoscedastic": (equal_blocks, "identity", "four runs of ten samples"),
    "ecg": (ecg, "dct", "electrocardiogram, mV"),
    "pulse": (pulse_wave, "dct", "photoplethysmogram"),
    "spectrum": (spectrum, "identity", "proton spectrum"),
    "picture": (picture, "haar", "slice through a head, measured column by column"),
}
