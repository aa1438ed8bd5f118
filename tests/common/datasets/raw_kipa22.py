"""Files in the layout of KiPA22's training data, small."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.common.datasets.raw_volumes import save

SHAPE = (12, 10, 14)
AFFINE = np.diag([-0.63, -0.63, 0.63, 1.0])


def names(number: int) -> list[str]:
    """Case names of no regular numbering, whose order as strings is another than by number."""
    return [f"DET{7 * i + 3}" for i in range(number)]


def stored(seed: int) -> np.ndarray:
    """Unsigned values as the challenge stores them, 0 HU at 1024."""
    return np.random.default_rng(seed).integers(0, 2500, SHAPE).astype(np.uint16)


def label() -> np.ndarray:
    """A slab of each of the four structures."""
    found = np.zeros(SHAPE, np.uint8)
    for value in range(1, 5):
        found[2:9, 2:8, 2 * value : 2 * value + 2] = value
    return found


def write_kipa22(root: Path, number: int = 70) -> Path:
    """``root`` with train/image and train/label, a hidden file, and the test lists' images."""
    for seed, name in enumerate(names(number)):
        save(root / "train" / "image" / f"{name}.nii.gz", stored(seed), AFFINE)
        save(root / "train" / "label" / f"{name}.nii.gz", label(), AFFINE)
    (root / "train" / "image" / "._DET3.nii.gz").write_bytes(b"of another system")
    save(root / "open_test_data" / "image" / "DET999.nii.gz", stored(0), AFFINE)
    return root
