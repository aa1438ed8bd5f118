"""The basis of a signal by its name, or from a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from scipy.io import loadmat
from torch import Tensor

from common.blocks.sensing import BASES, basis_matrix
from common.errors import InputError
from divsbl.files import read_signal

__all__ = ["basis_of"]

_ROUNDING = 1e-6  # of inner products: files may hold single precision or printed numbers


def basis_of(name: str | Path, length: int) -> Tensor:
    """Psi (N, N), orthonormal, float64: signal = Psi @ coefficients.

    Args:
        name: one of :data:`common.blocks.sensing.BASES`, or a file (.npy, .csv, or MATLAB's .mat with one
            matrix) whose rows are the atoms: coefficients = matrix @ signal.
        length: N.

    Raises:
        InputError: neither a name nor a file, or a matrix that is not orthonormal or of another size.
    """
    if str(name) in BASES:
        try:
            return basis_matrix(str(name), length)
        except ValueError as error:
            raise InputError(f"basis = {name!r}: {error}") from error
    path = Path(name).expanduser()
    if not path.is_file():
        raise InputError(f"basis = {str(name)!r}; expected one of {', '.join(BASES)}, or a file")
    atoms = _matlab(path) if path.suffix == ".mat" else read_signal(path)
    if atoms.shape != (length, length):
        raise InputError(f"{path}: the basis has the shape {atoms.shape}; expected ({length}, {length})")
    worst = float(np.abs(atoms @ atoms.T - np.eye(length)).max())
    if not worst < _ROUNDING:
        raise InputError(
            f"{path}: inner products of its rows are off by {worst:.2g}; expected an orthonormal matrix: "
            "its rows are the atoms"
        )
    return torch.from_numpy(atoms.T.copy())


def _matlab(path: Path) -> np.ndarray:
    try:
        found = loadmat(path, mat_dtype=True)
    except Exception as error:  # SciPy's reader raises half a dozen kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:120]
        raise InputError(
            f"{path}: cannot be read ({reason}); expected a .mat file of MATLAB's version 7.2 or before: "
            "save it with  save(..., '-v7')"
        ) from error
    matrices = {
        name: value
        for name, value in found.items()
        if not name.startswith("__") and np.ndim(value) == 2 and min(np.shape(value)) > 1
    }
    if len(matrices) != 1:
        raise InputError(
            f"{path}: holds {', '.join(matrices) or 'no matrix'}; expected one matrix: save it by itself"
        )
    (matrix,) = matrices.values()
    dense = matrix.toarray() if hasattr(matrix, "toarray") else matrix  # MATLAB's sparse matrices
    return np.asarray(dense, np.float64)
