"""Writing one labelled volume of a phantom as a pair of NIfTI files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

__all__ = ["write_labelled_volume"]


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
    import nibabel as nib  # here, so that importing the phantoms stays cheap

    entry = {}
    for key, array in (("image", image), ("label", label)):
        nifti = nib.Nifti1Image(array, affine)
        nifti.header.set_xyzt_units("mm")
        nifti.set_qform(affine, code="scanner")
        nifti.set_sform(affine, code="scanner")
        entry[key] = f"{key}s{subset}/{case}.nii.gz"
        nib.save(nifti, root / entry[key])
    return entry
