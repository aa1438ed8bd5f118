"""Local squared correlation of two images, and the loss made of it.

In every window of w^d voxels (n of them, zeros beyond the volume), with S the window's sums:

    cc = cross^2 / (var_I var_J + 1e-5)
    cross = S_IJ - S_I S_J / n        var_I = S_II - S_I S_I / n

MONAI's LocalNormalizedCrossCorrelationLoss replaces small variances by its smoothing term and so differs
by about 1e-5 (an image against itself has exactly 0 there, 4e-5 here and in the reference vector).

Cost: a window's sum is made of sums of 1, 2, 4, 8 neighbours, along one axis after the other: 12 additions
per voxel for 9^3, not 728, and without the cancellation of running sums.  ``direct`` adds up the 729 values
one by one, as published; in float32 that alone moves the loss by 6e-5 of itself and the gradient by 6e-4 of
its largest entry on the reference vector (float64 agrees with the sums made here).

Source: easr_dcn/docs/method.md#losses.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["LocalCorrelationLoss", "local_squared_correlation", "window_sums"]


def window_sums(x: Tensor, window: int, *, direct: bool = False) -> Tensor:
    """(B, C, *S): the sum over the window around every voxel, zeros beyond the volume.

    Args:
        x: (B, C, *S).
        window: odd number of voxels along every axis.
        direct: add up the window**d values one by one.
    """
    if direct:
        pool = F.avg_pool3d if x.ndim == 5 else F.avg_pool2d
        rim = [window // 2] * (2 * (x.ndim - 2))
        return pool(F.pad(x, rim), window, stride=1, divisor_override=1)
    for axis in range(2, x.ndim):
        x = _sums_along(x, window, axis)
    return x


def _sums_along(x: Tensor, window: int, axis: int) -> Tensor:
    n, half = x.shape[axis], window // 2
    run = F.pad(x, [0, 0] * (x.ndim - axis - 1) + [half, half])  # sums of ``length`` neighbours
    total, start, length = None, 0, 1
    while True:
        if window & length:
            part = run.narrow(axis, start, n)
            total = part if total is None else total + part
            start += length
        if 2 * length > window:
            return total
        kept = run.shape[axis] - length
        run = run.narrow(axis, 0, kept) + run.narrow(axis, length, kept)
        length *= 2


def local_squared_correlation(
    image: Tensor, other: Tensor, *, window: int = 9, epsilon: float = 1e-5, direct: bool = False
) -> Tensor:
    """The map cc (B, C, *S) in 0..1 around every voxel; 0 where an image is constant.

    Args:
        image: (B, C, *S), of the order of 1: ``epsilon`` is absolute.
        other: (B, C, *S), of the order of 1.
        window: odd number of voxels along every axis.
        epsilon: added to the product of the variances (sums of squares, not means).
        direct: how the sums are made; see :func:`window_sums`.

    Raises:
        ValueError: the window is even or below 1, or the shapes differ.
    """
    if window < 1 or window % 2 == 0 or image.shape != other.shape:
        raise ValueError(
            f"local_squared_correlation: window={window}, images {list(image.shape)} and "
            f"{list(other.shape)}; expected an odd window and equal shapes"
        )
    wide = torch.promote_types(image.dtype, torch.float32)
    a, b = image.to(wide), other.to(wide)
    sums = window_sums(torch.cat([a, b, a * a, b * b, a * b], 1), window, direct=direct)
    sum_a, sum_b, sum_aa, sum_bb, sum_ab = sums.chunk(5, 1)
    n = window ** (image.ndim - 2)
    cross = sum_ab - sum_a * sum_b / n
    # Rounding may leave a constant window a variance below 0, which a product would turn into anything.
    variance_a = (sum_aa - sum_a * sum_a / n).clamp(min=0)
    variance_b = (sum_bb - sum_b * sum_b / n).clamp(min=0)
    return cross * cross / (variance_a * variance_b + epsilon)


class LocalCorrelationLoss(nn.Module):
    """1 - mean(cc), over all voxels.

    Where both images are constant, as in the background of skull-stripped scans, cc is 0: those voxels add
    their share to the loss, but no gradient.

    Args:
        window: odd number of voxels along every axis.
        direct: sums as published; see above.
    """

    def __init__(self, window: int = 9, *, direct: bool = False) -> None:
        super().__init__()
        self.window, self.direct = window, direct

    def forward(self, image: Tensor, other: Tensor) -> Tensor:
        """(B, C, *S) twice to a scalar in 0..1."""
        return 1 - local_squared_correlation(image, other, window=self.window, direct=self.direct).mean()
