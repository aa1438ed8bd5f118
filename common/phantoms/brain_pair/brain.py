"""A brain as formulas: tissue and brightness at any point, so that it can be deformed without resampling.

Coordinates are mm, the first to the patient's left, the second forwards, the third up, from the middle of
the brain.  Every array of points is (..., 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["LABELS", "Brain", "Deformation", "Waves"]

LABELS = {
    0: "background",
    1: "cortex",
    2: "white matter",
    3: "ventricles",
    4: "thalamus",
    5: "putamen",
    6: "caudate",
}
_FLUID = 7  # around the brain: no structure of its own

_HALF_AXES_MM = (64.0, 80.0, 56.0)
_SIGNAL = {1: 0.52, 2: 0.80, 3: 0.16, 4: 0.62, 5: 0.58, 6: 0.56, _FLUID: 0.18}  # T1: 1 is the brightest
_TEXTURE_SD = {1: 0.04, 2: 0.03, 3: 0.01, 4: 0.02, 5: 0.02, 6: 0.02, _FLUID: 0.02}

#: Paired nuclei and ventricles: centre (left side), half axes, in mm.
_PAIRED = {
    4: ((11.0, -8.0, -2.0), (9.0, 16.0, 10.0)),
    5: ((24.0, 8.0, -3.0), (7.5, 18.0, 11.0)),
    6: ((14.0, 17.0, 9.0), (6.5, 16.0, 8.0)),
}
_VENTRICLE = (((8.0, -2.0, 14.0), (5.0, 27.0, 6.0)), ((17.0, -30.0, 2.0), (6.0, 13.0, 9.0)))


@dataclass(frozen=True)
class Waves:
    """A smooth random function of the points: a sum of plane waves.

    Attributes:
        vectors: (N, 3), radians per mm.
        phases: (N,).
        amplitudes: (N,) or (N, M) for a function with M values.
    """

    vectors: np.ndarray
    phases: np.ndarray
    amplitudes: np.ndarray

    @classmethod
    def draw(
        cls, number: int, wavelengths: Sequence[float], amplitudes: np.ndarray, rng: np.random.Generator
    ) -> Waves:
        """Waves in random directions, with lengths (mm) drawn uniformly between two bounds."""
        direction = rng.normal(size=(number, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        return cls(
            2 * np.pi / rng.uniform(*wavelengths, (number, 1)) * direction,
            rng.uniform(0, 2 * np.pi, number),
            amplitudes,
        )

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) to (...) or (..., M)."""
        return np.sin(points @ self.vectors.T + self.phases) @ self.amplitudes


class Deformation:
    """A smooth one-to-one map p -> p + u(p), known everywhere.

    u is a sum of waves whose slopes add up to less than 1, so that no two points meet: the map cannot fold.

    Args:
        largest_mm: amplitude of u along each axis, of long waves (of a lobe's size) and short ones together.
        rng: draws everything random.
    """

    def __init__(self, largest_mm: float, rng: np.random.Generator) -> None:
        amplitudes = rng.normal(size=(7, 3))
        scale = np.r_[np.full(4, 1.0), np.full(3, 0.25)]
        amplitudes *= scale[:, None] / np.linalg.norm(amplitudes, axis=1, keepdims=True)
        long = Waves.draw(4, (140.0, 240.0), amplitudes[:4], rng)
        short = Waves.draw(3, (60.0, 90.0), amplitudes[4:], rng)
        self.waves = Waves(
            np.concatenate([long.vectors, short.vectors]),
            np.concatenate([long.phases, short.phases]),
            amplitudes,
        )
        slopes = np.linalg.norm(self.waves.vectors, axis=1) * np.linalg.norm(amplitudes, axis=1)
        factor = min(largest_mm / np.abs(amplitudes).sum(0).max(), 0.9 / slopes.sum())
        self.waves = Waves(self.waves.vectors, self.waves.phases, factor * amplitudes)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """The displacement u at points (..., 3), in mm."""
        return self.waves(points)


class Brain:
    """One person's brain, without the skull.

    Args:
        rng: draws size, folds, ventricles and nuclei.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        size = np.exp(rng.normal(0, 0.04)) * np.exp(rng.normal(0, 0.03, 3))
        self.half_axes = np.asarray(_HALF_AXES_MM) * size
        self.outline = Waves.draw(6, (70.0, 140.0), np.full(6, 0.012), rng)
        self.folds = Waves.draw(14, (24.0, 40.0), np.full(14, 0.022), rng)
        self.inner_folds = Waves.draw(14, (26.0, 44.0), np.full(14, 0.030), rng)
        self.texture = Waves.draw(16, (14.0, 30.0), np.full(16, np.sqrt(2 / 16)), rng)
        self.ventricle_size = np.exp(rng.normal(0, 0.15))
        self.nuclei_size = np.exp(rng.normal(0, 0.06, 7))
        self.nuclei_shift = rng.normal(0, 1.2, (7, 3))

    def tissue(self, points: np.ndarray) -> np.ndarray:
        """uint8: a value of ``LABELS``, or 7 for the fluid around the brain.

        Args:
            points: (..., 3) mm.
        """
        points = points.astype(np.float32)
        radius = np.linalg.norm(points / self.half_axes, axis=-1) + self.outline(points)
        found = np.zeros(points.shape[:-1], np.uint8)
        found[radius < 1] = _FLUID
        found[(radius < 1) & (radius < 0.97 + self.folds(points))] = 1
        found[(found == 1) & (radius < 0.80 + self.inner_folds(points))] = 2
        mirrored = points * np.where(points[..., :1] < 0, [-1, 1, 1], [1, 1, 1])
        for value in (5, 6, 4):
            centre, half_axes = _PAIRED[value]
            self._paint(
                found, value, mirrored, centre + self.nuclei_shift[value], half_axes, self.nuclei_size[value]
            )
        for centre, half_axes in _VENTRICLE:
            self._paint(found, 3, mirrored, centre, half_axes, self.ventricle_size)
        return found

    def _paint(
        self,
        found: np.ndarray,
        value: int,
        mirrored: np.ndarray,
        centre: Sequence[float],
        half_axes: Sequence[float],
        size: float,
    ) -> None:
        """An ellipsoid in the left half, and its mirror image in the right."""
        inside = np.square((mirrored - centre) / (np.asarray(half_axes) * size)).sum(-1) < 1
        found[inside & (found > 0)] = value

    def brightness(self, points: np.ndarray, tissue: np.ndarray) -> np.ndarray:
        """Signal in 0..1 with structure inside the tissues, before bias and noise; 0 in the background.

        Args:
            points: (..., 3) mm.
            tissue: (...), of :meth:`tissue` at the same points.
        """
        signal, deviation = np.zeros(8, np.float32), np.zeros(8, np.float32)
        for value, level in _SIGNAL.items():
            signal[value], deviation[value] = level, _TEXTURE_SD[value]
        return signal[tissue] + deviation[tissue] * self.texture(points.astype(np.float32))
