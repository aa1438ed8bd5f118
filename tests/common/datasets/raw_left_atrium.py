"""Made-up files in the layout of the public left atrium data set."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from common.datasets.raw.published_lists import published_lists


class RawLeftAtrium:
    """The public distribution's layout with tiny scans of random numbers: the first of each list."""

    def __init__(self, root: Path, training: int, test: int) -> None:
        self.root, self.data = root, root / "data"
        lists = published_lists("la2018")
        self.training, self.test = lists["training"][:training], lists["test"][:test]
        self.scans = self.data / "2018LA_Seg_Training Set"
        for index, case in enumerate(self.training + self.test):
            self.write(case, **self.arrays(index))
        self.write_lists()

    def write_lists(self) -> None:
        (self.data / "train.list").write_text("\n".join(self.training) + "\n")
        (self.data / "test.list").write_text("\n".join(self.test) + "\n")

    def arrays(self, seed: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(seed)
        shape = (6 + seed % 3, 5, 88)
        label = (rng.random(shape) < 0.2).astype(np.uint8)
        return {"image": rng.normal(size=shape).astype(np.float32), "label": label}

    def path(self, case: str) -> Path:
        return self.scans / case / "mri_norm2.h5"

    def write(self, case: str, **arrays: np.ndarray) -> None:
        self.path(case).parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(self.path(case), "w") as file:
            for key, array in arrays.items():
                file.create_dataset(key, data=array, compression="gzip" if np.ndim(array) else None)
