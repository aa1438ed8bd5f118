"""A raw download of the prostate scans of six sites, tiny."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

AFFINE = np.array([[-0.6, 0, 0, 40], [0, -0.6, 0, 50], [0, 0, 3.6, -20], [0, 0, 0, 1.0]])
SHAPE = (20, 18, 6)


def scan_of(number: int) -> tuple[np.ndarray, np.ndarray]:
    """A scan and its label with the zones 1 and 2."""
    rng = np.random.default_rng(number)
    label = np.zeros(SHAPE, np.uint8)
    label[6:14, 5:12, 1:5] = 1
    label[8:12, 6:9, 2:4] = 2
    return (rng.integers(0, 900, SHAPE) + 200 * (label > 0)).astype(np.int16), label


def write(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, affine), path)


def raw_prostate(root: Path, counts: dict[str, int] | None = None) -> Path:
    """Scans for each site (by default two sites with two scans); label names in both spellings."""
    for site, count in (counts or {"RUNMC": 2, "HK": 2}).items():
        for i in range(count):
            image, label = scan_of(i)
            name, word = f"Case{2 * i:02d}", "Segmentation" if site == "RUNMC" else "segmentation"
            write(root / site / f"{name}.nii.gz", image)
            write(root / site / f"{name}_{word}.nii.gz", label)
    return root
