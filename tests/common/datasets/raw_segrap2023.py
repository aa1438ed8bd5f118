"""Files in the layout of SegRap2023's two archives, small."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from common.datasets.raw.segrap_classes import GTVS, ORGANS, expand
from tests.common.datasets.raw_volumes import save

SHAPE = (8, 7, 6)
AFFINE = np.diag([-0.54, -0.54, 3.0, 1.0])
CASES = "SegRap2023_Training_Set_120cases"
MAPS = f"{CASES}_OneHot_Labels"


class RawSegRap:
    """Pairs of CT with all 54 classes and both tumour volumes.

    Args:
        root: folder of the archives.
        cases: their names.
        maps: write the second archive, with exclusive maps.
        structures: write a file for each structure.
    """

    def __init__(
        self, root: Path, cases: Iterable[str], *, maps: bool = True, structures: bool = False
    ) -> None:
        self.root = root
        for case in cases:
            (root / CASES).mkdir(parents=True, exist_ok=True)
            (root / CASES / "segrap_names.csv").touch()
            for number, name in enumerate(("image", "image_contrast")):
                save(self.file(case, name), self.image(case, number), AFFINE)
            if maps:
                save(self.map(case, "Task001"), self.fine(case), AFFINE)
                save(self.map(case, "Task002"), self.gtv(case), AFFINE)
            if structures:
                self.write_structures(case)

    def file(self, case: str, name: str) -> Path:
        return self.root / CASES / case / f"{name}.nii.gz"

    def map(self, case: str, task: str) -> Path:
        return self.root / MAPS / task / f"{case}.nii.gz"

    def image(self, case: str, number: int) -> np.ndarray:
        return np.random.default_rng([int(case[-4:]), number]).integers(-1000, 1500, SHAPE).astype(np.int16)

    def fine(self, case: str) -> np.ndarray:
        """Each of 0 to 54 in some six voxels, in an order of the case's own."""
        values = np.arange(np.prod(SHAPE)) % 55
        return np.random.default_rng(int(case[-4:])).permutation(values).reshape(SHAPE).astype(np.uint8)

    def gtv(self, case: str) -> np.ndarray:
        return (self.fine(case) % 3).astype(np.uint8)

    def write_structures(self, case: str) -> None:
        for fine, structures in ((self.fine(case), ORGANS), (self.gtv(case), GTVS)):
            for name, mask in zip(structures, expand(fine, structures), strict=True):
                save(self.file(case, name), mask.astype(np.uint8), AFFINE)
