"""A raw download of the prostate scans of six sites, tiny: the published names, few voxels."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from common.datasets.public.prostate import CASES

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


def raw_prostate(
    root: Path, counts: dict[str, int] | None = None, folders: dict[str, str] | None = None
) -> Path:
    """Scans for each site (by default two sites with two scans), the first of the published ones.

    Args:
        root: the folder to make.
        counts: number of scans by site.
        folders: names of folders that are not those of their sites.
    """
    for site, count in (counts or {"RUNMC": 2, "HK": 2}).items():
        for i, number in enumerate(CASES[site][:count]):
            image, label = scan_of(i)
            name, word = f"Case{number:02d}", "Segmentation" if site == "BMC" else "segmentation"
            folder = root / (folders or {}).get(site, site)
            write(folder / f"{name}.nii.gz", image)
            write(folder / f"{name}_{word}.nii.gz", label)
    return root
