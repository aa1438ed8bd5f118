"""A one-dimensional Gaussian mixture of the intensities of image pairs, fitted on histograms on the device.

Axes: B pairs, N values of a pair, Q bins, K components.  Intensities lie in 0..1; bin q stands for the value
q / (Q - 1), so that 256 bins hold an 8-bit image without loss.  Each pair has its own mixture, whatever else
is in the batch.

Source: easr_dcn/docs/method.md#easr.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Mixture", "em_step", "fit_mixture", "initial_mixture", "log_joint", "pooled_histogram"]


class Mixture(NamedTuple):
    """Weights, means and variances (B, K) of K components, float64."""

    weights: Tensor
    means: Tensor
    variances: Tensor


def bin_values(bins: int, like: Tensor) -> Tensor:
    """The value of each bin: (Q,) float64, 0..1."""
    return torch.arange(bins, dtype=torch.float64, device=like.device) / (bins - 1)


def pooled_histogram(index: Tensor, bins: int) -> Tensor:
    """Share of each bin among the values of a pair.

    Args:
        index: (B, N) int64, the bin of each value.
        bins: Q.

    Returns:
        (B, Q) float64, each row sums to 1.
    """
    rows = torch.arange(index.shape[0], device=index.device)[:, None] * bins
    counts = torch.bincount((index + rows).flatten(), minlength=index.shape[0] * bins)
    return counts.reshape(index.shape[0], bins).double() / index.shape[1]


def initial_mixture(shares: Tensor, components: int, floor: float = 1e-6) -> Mixture:
    """The starting point of EM: equal weights, and means at quantiles of the *distinct* values.

    With quantiles over the voxels most components would start in the background, more than half of a
    skull-stripped scan, and equal components stay equal for ever.  Deterministic, and sorted by mean.

    Args:
        shares: (B, Q), see :func:`pooled_histogram`.
        components: K.
        floor: added to every variance.
    """
    occupied = (shares > 0).double()
    rank = occupied.cumsum(1) / occupied.sum(1, keepdim=True)  # rises to 1, at each occupied bin
    place = (torch.arange(components, dtype=torch.float64, device=shares.device) + 0.5) / components
    first = (rank[:, None, :] >= place[:, None]).to(torch.int64).argmax(2)  # (B, K)
    values = bin_values(shares.shape[1], shares)
    mean = (shares * values).sum(1, keepdim=True)
    variance = (shares * (values - mean) ** 2).sum(1, keepdim=True) / components**2 + floor
    return Mixture(
        torch.full_like(place, 1 / components).expand(shares.shape[0], components),
        values[first],
        variance.expand(shares.shape[0], components),
    )


def log_joint(mixture: Mixture, bins: int) -> Tensor:
    """log(pi_j N(x_q; mu_j, s_j^2)): (B, K, Q)."""
    values = bin_values(bins, mixture.means)
    variances = mixture.variances[:, :, None]
    distance = (values - mixture.means[:, :, None]) ** 2
    normal = -0.5 * (distance / variances + torch.log(2 * math.pi * variances))
    return normal + torch.log(mixture.weights.clamp(min=1e-300))[:, :, None]


def em_step(mixture: Mixture, shares: Tensor, floor: float = 1e-6) -> tuple[Mixture, Tensor]:
    """One EM step.

    Args:
        mixture: before.
        shares: (B, Q), see :func:`pooled_histogram`.
        floor: added to every variance.

    Returns:
        The mixture after, and the mean log-likelihood (B,) of the one *before*.
    """
    bins = shares.shape[1]
    joint = log_joint(mixture, bins)
    evidence = torch.logsumexp(joint, 1, keepdim=True)
    mass = torch.exp(joint - evidence) * shares[:, None, :]  # r_nj, summed over each bin's voxels
    weight = mass.sum(2)
    safe = weight.clamp(min=1e-300)
    values = bin_values(bins, shares)
    means = (mass * values).sum(2) / safe
    variances = (mass * (values - means[:, :, None]) ** 2).sum(2) / safe + floor
    return Mixture(weight, means, variances), (evidence[:, 0] * shares).sum(1)


def fit_mixture(shares: Tensor, components: int, iterations: int = 100, tolerance: float = 1e-3) -> Mixture:
    """Iterate EM until a pair's mean log-likelihood changes by less than the tolerance.

    Args:
        shares: (B, Q), see :func:`pooled_histogram`.
        components: K.
        iterations: upper limit.
        tolerance: of the change of the mean log-likelihood, in nats per voxel.

    Returns:
        The mixtures, components sorted by mean.
    """
    mixture = initial_mixture(shares, components)
    before = torch.full_like(shares[:, 0], -math.inf)
    running = torch.ones_like(before, dtype=torch.bool)
    for _ in range(iterations):
        found, likelihood = em_step(mixture, shares)
        running = running & ~((likelihood - before).abs() < tolerance)
        if not bool(running.any()):
            break
        before = likelihood
        on = running[:, None]
        mixture = Mixture(
            torch.where(on, found.weights, mixture.weights),
            torch.where(on, found.means, mixture.means),
            torch.where(on, found.variances, mixture.variances),
        )
    order = mixture.means.argsort(dim=1, stable=True)
    return Mixture(
        mixture.weights.gather(1, order), mixture.means.gather(1, order), mixture.variances.gather(1, order)
    )
