"""Displacement fields as files, in millimetres, as ITK and ANTs read them.

NIfTI with intent 1007 (vector) and the shape (X, Y, Z, 1, 3) on the fixed image's grid.  The three components
are mm along L, P and S, whatever way the voxel axes run: a point p of the fixed image (L, P, S) lies at
p + u(p) in the moving one.  In memory fields are mm along R, A and S, NIfTI's own world.
"""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from common.errors import InputError
from common.files import atomic_path
from common.nifti import open_nifti, reading_nifti

__all__ = ["read_field", "write_field"]

_RAS_TO_LPS = np.array([-1.0, -1.0, 1.0])
_INTENT = 1007


def write_field(path: str | Path, world: np.ndarray, affine: np.ndarray) -> None:
    """Write a field, whole or not at all.

    Args:
        path: ending in .nii or .nii.gz.
        world: (X, Y, Z, 3) mm along R, A, S.
        affine: (4, 4), voxel index of the fixed image to R, A, S mm.

    Raises:
        ValueError: ``world`` has another number of axes or components.
    """
    if world.ndim != 4 or world.shape[3] != 3:
        raise ValueError(f"write_field: shape {world.shape}; expected (X, Y, Z, 3)")
    nifti = nib.Nifti1Image((world * _RAS_TO_LPS).astype(np.float32)[:, :, :, None], affine)
    nifti.header.set_intent(_INTENT)
    nifti.header.set_xyzt_units("mm")
    nifti.set_qform(affine, code="scanner")
    nifti.set_sform(affine, code="scanner")
    with atomic_path(path) as temporary:
        nib.save(nifti, temporary)


def read_field(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """The field (X, Y, Z, 3) in mm along R, A, S, and the affine (4, 4) of its grid.

    Raises:
        InputError: it cannot be read, or holds no vectors of three components.
    """
    nifti = open_nifti(path)
    with reading_nifti(path):
        intent = int(nifti.header["intent_code"])
    if nifti.ndim != 5 or nifti.shape[3:] != (1, 3) or intent != _INTENT:
        raise InputError(
            f"{path}: shape {nifti.shape}, intent {intent}; expected a field of "
            f"(X, Y, Z, 1, 3) with intent {_INTENT}"
        )
    with reading_nifti(path):
        return np.asarray(nifti.dataobj)[:, :, :, 0] * _RAS_TO_LPS, nifti.affine
