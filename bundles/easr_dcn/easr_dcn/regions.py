"""Effective anatomical structure representation: a pair of images as regions of similar intensity.

Axes: B pairs, 2 images (moving, fixed), *S spatial, K regions, from dark to bright.

Source: easr_dcn/docs/method.md#easr.
"""

from __future__ import annotations

import torch
from torch import Tensor

from easr_dcn.gaussian_mixture import fit_mixture, log_joint, pooled_histogram

__all__ = ["label_maps", "random_label_maps", "region_pairs"]


def label_maps(
    pair: Tensor, regions: int, iterations: int = 100, tolerance: float = 1e-3, bins: int = 256
) -> Tensor:
    """The likeliest component of every voxel, under one mixture for both images of a pair.

    Each image is first scaled to 0..1 by its own minimum and maximum.

    Args:
        pair: (B, 2, *S).
        regions: K.
        iterations: upper limit for EM.
        tolerance: at which EM ends.
        bins: of the histogram.

    Returns:
        (B, 2, *S) int64, 0..K-1, rising with the component's mean.
    """
    flat = pair.detach().flatten(2).double()
    low, high = flat.amin(2, keepdim=True), flat.amax(2, keepdim=True)
    index = ((flat - low) / (high - low).clamp(min=1e-12) * (bins - 1)).round()
    # NaN from bad weights or files must not become an index.
    index = index.nan_to_num().clamp(0, bins - 1).long().flatten(1)  # (B, 2N)
    mixture = fit_mixture(pooled_histogram(index, bins), regions, iterations, tolerance)
    of_bin = log_joint(mixture, bins).argmax(1)  # (B, Q)
    return of_bin.gather(1, index).reshape(pair.shape)


def random_label_maps(pair: Tensor, regions: int) -> Tensor:
    """Masks of equal size at random places, always the same: what the division by structure is compared with.

    Args:
        pair: (B, 2, *S).
        regions: K.

    Returns:
        (B, 2, *S) int64, 0..K-1; of the voxels of both images each region has a K-th.
    """
    x = torch.arange(pair[0].numel(), device=pair.device)
    for _ in range(2):  # mixes the bits of the voxel's number: a shuffle that needs no generator
        x = ((x ^ (x >> 16)) * 73244475) & 0x7FFFFFFF
    ranks = x.argsort().argsort()
    return (ranks % regions).reshape(pair.shape[1:]).expand(pair.shape)


def region_pairs(pair: Tensor, labels: Tensor, regions: int) -> Tensor:
    """Every region of the moving image next to the fixed one's, 0 elsewhere.

    Args:
        pair: (B, 2, *S).
        labels: (B, 2, *S), see :func:`label_maps`.
        regions: K.

    Returns:
        (B, 2 K, *S): region 0 of moving and fixed, region 1 of moving and fixed, ...; their sums over the
        regions are the images.
    """
    return torch.cat([pair * (labels == region) for region in range(regions)], 1)
