"""Files in the layout of AMOS22's release, small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tests.common.datasets.raw_volumes import save

SHAPE = (10, 9, 8)
AFFINE = np.diag([-1.2, -1.2, 5.0, 1.0])
#: As in the release: numbers of both parts are mixed, CT to 410, MR from 507.
RELEASE = {
    "Tr": [n for n in range(1, 301) if n % 3] + [*range(507, 547)],
    "Va": [n for n in range(1, 301) if not n % 3] + [*range(547, 567)],
}
FEW = {"Tr": [1, 4, 507, 530], "Va": [408, 557]}


def image(number: int) -> np.ndarray:
    """HU in a CT, positive values in an MR."""
    low, high = (-1000, 400) if number < 500 else (0, 900)
    return np.random.default_rng(number).integers(low, high, SHAPE).astype(np.int16)


def label(number: int) -> np.ndarray:
    """All fifteen organs, a block of voxels each; every second case lacks the last two."""
    found = np.zeros(SHAPE, np.uint8)
    found.reshape(-1)[: 15 * 30] = np.repeat(np.arange(1, 16), 30)
    return found if number % 2 else np.where(found > 13, 0, found).astype(np.uint8)


def write_names(root: Path, parts: Mapping[str, Sequence[int]] = RELEASE) -> Path:
    """``root`` with amos22/imagesTr and so on, empty files of the release's names."""
    for kind in ("images", "labels"):
        for part, numbers in parts.items():
            folder = root / "amos22" / f"{kind}{part}"
            folder.mkdir(parents=True)
            for number in numbers:
                (folder / f"amos_{number:04d}.nii.gz").touch()
    return root


def write_amos22(root: Path, parts: Mapping[str, Sequence[int]] = FEW) -> Path:
    """A few scans of each kind, what macOS leaves, and a scan of the test part."""
    folder = root / "amos22"
    for part, numbers in parts.items():
        for number in numbers:
            name = f"amos_{number:04d}.nii.gz"
            save(folder / f"images{part}" / name, image(number), AFFINE)
            save(folder / f"labels{part}" / name, label(number), AFFINE)
    save(folder / "imagesTs" / "amos_0310.nii.gz", image(310), AFFINE)
    (folder / "imagesTr" / ".DS_Store").write_bytes(b"\0")
    (root / "__MACOSX").mkdir()
    return root
