"""Mean and sum of squared deviations of rows on a CPU, in a fraction of the time of ``torch.var_mean``.

Tensors are rows (R, V), see :mod:`common.kernels.row_moments`; values per row are (R,), in float32 or wider.

PyTorch's variances on a CPU update a running mean voxel by voxel, in scalar code.  Here each row is summed
and its Euclidean norm taken, both vectorised, and  squares = norm^2 - V mean^2.  Where that cancels (the
mean is well above the deviation) the rows in question are summed once more, around their means.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["affine", "blocks_of_rows", "moments"]

# Elements of a block of rows: a few arrays of them fit a core's cache of 1 MB.
_BLOCK_ELEMENTS = 1 << 16
# Summands of one norm: PyTorch adds them up one after the other in each lane, and the error grows with them.
_CHUNK = 1 << 12
# Share of norm^2 that the squares must keep: below it rounding errors would grow more than eightfold.
_LEAST_SHARE = 1 / 8


def moments(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and sum of squared deviations of each row of ``rows`` (R, V), V at least 1."""
    if rows.dtype not in (torch.float32, torch.float64):
        return _around_the_mean(rows)
    mean = rows.mean(1)
    whole = _squared_norms(rows)
    squares = torch.addcmul(whole, mean, mean, value=-rows.size(1))
    cancelled = squares < _LEAST_SHARE * whole
    if cancelled.any():
        mean[cancelled], squares[cancelled] = _around_the_mean(rows[cancelled])
    return mean, squares


def _squared_norms(rows: Tensor) -> Tensor:
    V = rows.size(1)
    if V < 2 * _CHUNK:
        return torch.linalg.vector_norm(rows, dim=1).square_()
    chunks = V // _CHUNK
    parts = torch.linalg.vector_norm(rows[:, : chunks * _CHUNK].unflatten(1, (chunks, _CHUNK)), dim=2)
    if V % _CHUNK:
        rest = torch.linalg.vector_norm(rows[:, chunks * _CHUNK :], dim=1, keepdim=True)
        parts = torch.cat([parts, rest], 1)
    return torch.linalg.vector_norm(parts, dim=1).square_()


def _around_the_mean(rows: Tensor) -> tuple[Tensor, Tensor]:
    dtype = torch.promote_types(rows.dtype, torch.float32)
    mean, squares = (rows.new_empty(rows.size(0), dtype=dtype) for _ in range(2))
    for block in blocks_of_rows(rows):
        x = rows[block].to(dtype)
        torch.mean(x, 1, out=mean[block])
        squares[block] = _squared_norms(x - mean[block].unsqueeze(1))
    return mean, squares


def blocks_of_rows(rows: Tensor) -> list[slice]:
    """Rows handled at once: as many as stay in a core's cache from one pass to the next."""
    count = max(_BLOCK_ELEMENTS // rows.size(1), 1)
    return [slice(start, start + count) for start in range(0, rows.size(0), count)]


def affine(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor, variance: Tensor, eps: float
) -> Tensor:
    """``weight * (x - mean) / sqrt(variance + eps) + bias`` along axis 1 of (N, C, ...).

    Batch norm's own map: one pass, twice as fast as broadcast factors.
    """
    return torch.batch_norm(x, weight, bias, mean, variance, False, 0.0, eps, False)
