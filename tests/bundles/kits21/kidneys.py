"""A small case for tests: two kidneys with a tumor and a cyst, and three annotators who disagree."""

from __future__ import annotations

import numpy as np

SHAPE = (20, 40, 44)  # z, y, x
SPACING = (2.0, 0.9, 0.9)
CENTRES = {
    "kidney": [((10, 20, 11), (7, 9, 6)), ((10, 20, 32), (7, 9, 6))],
    "tumor": [((9, 14, 13), (4, 5, 4))],
    "cyst": [((12, 26, 33), (3, 3, 3))],
}


def ball(centre, radii, shape=SHAPE) -> np.ndarray:
    grid = np.indices(shape)
    scaled = [(g - c) / r for g, c, r in zip(grid, centre, radii, strict=True)]
    return sum(s**2 for s in scaled) <= 1


def annotations(seed: int = 0, annotators: int = 3) -> dict[str, list[list[np.ndarray]]]:
    """Masks by region, instance and annotation; no two annotators of an instance agree."""
    rng = np.random.RandomState(seed)
    grown = [0.0, 0.9, -0.9, 0.5][:annotators]
    return {
        region: [[ball(c + rng.uniform(-0.5, 0.5, 3), np.add(r, g)) for g in grown] for c, r in instances]
        for region, instances in CENTRES.items()
    }
