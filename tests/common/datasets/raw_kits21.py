"""Files in the layout of KiTS21's release, small."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

AFFINE = np.array([[0, 0, -0.8, 50], [0, -0.8, 0, 40], [-3, 0, 0, 30], [0, 0, 0, 1]], float)  # slices first


def save(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, affine), path)


def box(start: int, stop: int, shape=(6, 9, 10)) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    mask[1:5, 2:7, start:stop] = 1
    return mask


class RawKits21:
    """Cases with one kidney of three annotations, which grow from the first to the last, and a tumor."""

    def __init__(self, root: Path, cases: int) -> None:
        self.root = root
        for number in range(cases):
            self.write(number)

    def folder(self, number: int) -> Path:
        return self.root / "data" / f"case_{number:05d}"

    def annotation(self, number: int, region="kidney", instance=1, annotation=1) -> Path:
        name = f"{region}_instance-{instance}_annotation-{annotation}.nii.gz"
        return self.folder(number) / "segmentations" / name

    def aggregated(self, number: int, rule: str) -> Path:
        return self.folder(number) / f"aggregated_{rule}_seg.nii.gz"

    def aggregate(self, number: int) -> None:
        """Add the release's aggregated files."""
        for rule, last in (("AND", 6), ("MAJ", 7), ("OR", 8)):
            save(self.aggregated(number, rule), box(1, last) + box(4, last))

    def image(self, number: int) -> np.ndarray:
        return np.random.RandomState(number).randint(-1000, 300, (6, 9, 10)).astype(np.float64)

    def write(self, number: int) -> None:
        save(self.folder(number) / "imaging.nii.gz", self.image(number))
        for a in (1, 2, 3):
            save(self.annotation(number, annotation=a), box(1, 5 + a))
            save(self.annotation(number, "tumor", annotation=a), box(4, 5 + a))
        save(self.annotation(number, "ureter"), box(9, 10))
