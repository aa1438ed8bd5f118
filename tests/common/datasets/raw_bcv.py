"""Files in the layout of BCV's download, small."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

NUMBERS = (*range(1, 11), *range(21, 41))
#: In-plane axes towards the left and the back, as some of its scans have them.
AFFINE = np.diag([-0.8, -0.8, 3.0, 1.0])


class RawBcv:
    """Scans of random HU with boxes for organs; every third label is stored as float, with another affine."""

    def __init__(self, root: Path, numbers=NUMBERS, shape=(12, 11, 10)) -> None:
        self.root, self.shape = root, shape
        for number in numbers:
            self.write(number)

    def path(self, kind: str, number: int) -> Path:
        return self.root / "RawData" / "Training" / kind / f"{kind}{number:04d}.nii.gz"

    def image(self, number: int) -> np.ndarray:
        return np.random.RandomState(number).randint(-1000, 300, self.shape).astype(np.int16)

    def label(self, number: int) -> np.ndarray:
        """All thirteen organs, a slab of voxels each."""
        label = np.zeros(self.shape, np.uint8)
        label.reshape(-1)[: 13 * 60] = np.repeat(np.arange(1, 14), 60)
        return label

    def write(self, number: int) -> None:
        other = number % 3 == 0
        self.save("img", number, self.image(number), AFFINE)
        label = self.label(number).astype(np.float32 if other else np.uint8)
        self.save("label", number, label, np.diag([0.8, 0.8, 3.0, 1.0]) if other else AFFINE)

    def save(self, kind: str, number: int, array: np.ndarray, affine: np.ndarray) -> None:
        path = self.path(kind, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(array, affine), path)
