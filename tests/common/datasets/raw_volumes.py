"""Made-up downloads of ACDC, BraTS 2019 and Pancreas-CT: every published name, tiny volumes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np

from common.datasets.raw.published_lists import numbers_beside, published_lists

SIDE = 16


def published(name: str, first: int | None = None) -> list[str]:
    """The cases of a data set, or the first of each list."""
    return [case for cases in published_lists(name).values() for case in cases[:first]]


def organ(shape: Iterable[int] = (SIDE, SIDE, SIDE)) -> np.ndarray:
    """A block in the middle, uint8."""
    label = np.zeros(tuple(shape), np.uint8)
    label[tuple(slice(n // 4, n - n // 4) for n in label.shape)] = 1
    return label


def save(path: Path, array: np.ndarray, affine: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, np.eye(4) if affine is None else affine, dtype=array.dtype), path)
    return path


def write_acdc(root: Path, cases: Iterable[str] | None = None, *, side: int = SIDE) -> Path:
    """``root`` with database/training/patient001 and so on; ES is frame 12, ED frame 3 of the film."""
    slices = numbers_beside("acdc", "training")
    numbers = {"frame01": 3, "frame02": 12}
    for case in published("acdc") if cases is None else cases:
        patient, _, frame = case.partition("_")
        folder = root / "database" / "training" / patient
        label = organ((side, side, slices.get(case, 3)))
        label[side // 2, side // 2, :] *= 3
        image = (label * 100 + np.arange(label.size).reshape(label.shape) % 7).astype(np.int16)
        name, affine = f"{patient}_frame{numbers[frame]:02d}", np.diag([1.5, 1.5, 8, 1])
        save(folder / f"{name}.nii.gz", image, affine)
        save(folder / f"{name}_gt.nii.gz", label, affine)
        (folder / "Info.cfg").write_text("ED: 3\nES: 12\nGroup: DCM\nHeight: 170.0\nNbFrame: 30\n")
        (folder / "MANDATORY_CITATION.md").write_text("")
    return root


def write_brats2019(root: Path, cases: Iterable[str] | None = None, *, side: int = SIDE) -> Path:
    """``root`` with MICCAI_BraTS_2019_Data_Training/{HGG,LGG}."""
    for number, case in enumerate(published("brats2019") if cases is None else cases):
        folder = root / "MICCAI_BraTS_2019_Data_Training" / ("HGG" if number % 4 else "LGG") / case
        brain = np.zeros((side + 4,) * 3, np.int16)
        brain[2:-1, 2:-1, 2:-1] = np.random.default_rng(number).integers(50, 400, (side + 1,) * 3)
        tumour = 4 * organ(brain.shape)
        save(folder / f"{case}_flair.nii.gz", brain, np.diag([-1, -1, 1, 1]))
        save(folder / f"{case}_seg.nii.gz", tumour, np.diag([-1, -1, 1, 1]))
    return root


def write_prepared_pancreas(
    root: Path, name: str = "pancreas_ct", cases: Iterable[str] | None = None, *, side: int = SIDE
) -> Path:
    """``root`` with the h5 files that MC-Net (``pancreas_ct``) or VerSemi distribute."""
    folder, end = {
        "pancreas_ct": (root / "Pancreas_h5", "_norm.h5"),
        "pancreas_ct_versemi": (root / "data", ".h5"),
    }[name]
    folder.mkdir(parents=True)
    for number, case in enumerate(published(name) if cases is None else cases):
        image = np.random.default_rng(number).normal(size=(side,) * 3).astype(np.float32)
        with h5py.File(folder / f"{case}{end}", "w") as file:
            file.create_dataset("image", data=image, compression="gzip")
            file.create_dataset("label", data=organ(image.shape), compression="gzip")
    return root
