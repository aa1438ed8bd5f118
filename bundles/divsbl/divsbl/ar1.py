"""First-order autoregressive (AR(1)) correlation within blocks, in closed form.

A block of length L has the correlation matrix T(b) with entries b^|i-j| and unit diagonal.  Its inverse
is tridiagonal, its determinant is (1 - b^2)^(L-1); no block matrix is ever inverted.

Axes: B problems, G blocks, L longest block.  Shorter blocks are padded at the end; ``valid`` (G, L) marks the
real elements, and padding is left out of every sum.  TorchScript can compile these functions.

Source: divsbl/docs/method.md#algorithm and divsbl/docs/method.md#batching.
"""

import torch
from torch import Tensor

__all__ = ["correlation", "inverse_bands", "log_determinant", "project", "project_mean"]


def _bounded(b: Tensor) -> Tensor:
    return torch.where(b.abs() >= 0.99, 0.98 * torch.sign(b), b)


def _diagonal_sums(r: Tensor, valid: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Sum and element count of each block's diagonal and first superdiagonal."""
    one = valid.to(r.dtype)
    diagonal = (torch.diagonal(r, 0, -2, -1) * one).sum(-1)
    pair = one[:, :-1] * one[:, 1:]
    beside = (torch.diagonal(r, 1, -2, -1) * pair).sum(-1)
    return diagonal, beside, one.sum(-1), pair.sum(-1)


def project(r: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """The AR(1) matrix that the published code fits to each block's correlation.

    Args:
        r: (B, G, L, L) symmetric.
        valid: (G, L) bool.

    Returns:
        b (B, G), the mean of the first superdiagonal over that of the diagonal, |b| <= 0.98 where it would
        reach 0.99 (0 for blocks of one element), and the mean of the diagonal (B, G).
    """
    diagonal, beside, n, pairs = _diagonal_sums(r, valid)
    mean = diagonal / n
    safe = torch.where(mean > 0, mean, torch.ones_like(mean))
    b = torch.where(pairs > 0, beside / pairs.clamp(min=1) / safe, torch.zeros_like(mean))
    return _bounded(b), safe


def project_mean(r: Tensor, keep: Tensor, valid: Tensor) -> Tensor:
    """One coefficient (B,) for all kept blocks, from the sums of their two diagonals.

    For equal blocks this is the projection of the mean matrix; unequal blocks have no mean matrix.

    Args:
        r: (B, G, L, L).
        keep: (B, G) bool.
        valid: (G, L) bool.
    """
    diagonal, beside, n, pairs = _diagonal_sums(r, valid)
    kept = keep.to(r.dtype)
    mean = (diagonal * kept).sum(-1) / (n * kept).sum(-1).clamp(min=1)
    count = (pairs * kept).sum(-1)
    safe = torch.where(mean > 0, mean, torch.ones_like(mean))
    return _bounded((beside * kept).sum(-1) / count.clamp(min=1) / safe)


def correlation(b: Tensor, length: int) -> Tensor:
    """T(b): (..., length, length) with b^|i-j|."""
    place = torch.arange(length, device=b.device)
    distance = (place[:, None] - place[None, :]).abs().to(b.dtype)
    return b[..., None, None] ** distance


def inverse_bands(b: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """The inverse of T(b): its diagonal (B, G, L) and its first superdiagonal (B, G, L-1).

    Args:
        b: (B, G), |b| < 1, 0 for blocks of one element.
        valid: (G, L) bool; the bands are 0 on padding.
    """
    one = valid.to(b.dtype)
    pair = one[:, :-1] * one[:, 1:]
    edge = torch.zeros_like(one[:, :1])
    inner = torch.cat([edge, pair], -1) * torch.cat([pair, edge], -1)  # has both neighbours
    scale = 1 / (1 - b * b)
    diagonal = one * (1 + inner * (b * b)[..., None]) * scale[..., None]
    return diagonal, -pair * (b * scale)[..., None]


def log_determinant(b: Tensor, valid: Tensor) -> Tensor:
    """Logarithm of det T(b) (B, G): (L-1) log(1 - b^2), where L is each block's own length."""
    return (valid.sum(-1).to(b.dtype) - 1) * torch.log1p(-b * b)
