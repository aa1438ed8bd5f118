"""Writing volumes of a phantom as NIfTI files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

__all__ = ["write_labelled_volume", "write_volume"]


def write_volume(file: Path, array: np.ndarray, affine: np.ndarray) -> None:
    """Write one volume in scanner coordinates.

    Args:
        file: its place; the folder is there.
        array: (X, Y, Z), any dtype of NIfTI.
        affine: (4, 4), voxel index to RAS+ millimetres.
    """
    import nibabel as nib  # here, so that importing the phantoms stays cheap

    nifti = nib.Nifti1Image(array, affine)
    nifti.header.set_xyzt_units("mm")
    nifti.set_qform(affine, code="scanner")
    nifti.set_sform(affine, code="scanner")
    nib.save(nifti, file)


def write_labelled_volume(
    root: Path, subset: str, case: str, *, image: np.ndarray, label: np.ndarray, affine: np.ndarray
) -> dict[str, str]:
    """Write ``images<subset>/<case>.nii.gz`` and its label; return their entry for ``dataset.json``.

    Args:
        root: the data set's folder, with its four sub-folders.
        subset: ``Tr`` or ``Ts``.
        case: file name without its suffix.
        image: (X, Y, Z), any dtype of NIfTI.
        label: (X, Y, Z), whole numbers.
        affine: (4, 4), voxel index to RAS+ millimetres; scanner coordinates.
    """
    entry = {}
    for key, array in (("image", image), ("label", label)):
        entry[key] = f"{key}s{subset}/{case}.nii.gz"
        write_volume(root / entry[key], array, affine)
    return entry
