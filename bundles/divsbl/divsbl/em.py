"""One EM iteration for a batch of block-sparse problems.

Axes: B problems, M measurements, G blocks, L longest block.  The prior of a block is N(0, s G T(b) G) with
G = diag(sqrt(gamma)): one variance for every element (the paper's diversified scheme) and one AR(1)
coefficient for every block.  Pruned blocks are masked (``keep``), so that a batch stays rectangular.  Source:
Zhang, Zhu, Xia, NeurIPS 2024; divsbl/docs/method.md#algorithm.  TorchScript can compile it.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from divsbl import ar1

__all__ = ["Posterior", "Prior", "expectation", "marginal_cost", "maximisation", "noise", "prune", "start"]


class Prior(NamedTuple):
    """What is learnt about each problem.

    Attributes:
        root: (B, G, L) standard deviation of every element, sqrt(gamma); 1 on padding.
        b: (B, G) AR(1) coefficient of every block.
        scale: (B, G) mean diagonal of every block's correlation; 1 unless it is kept.
        multiplier: (B, G) nu of the constraint log det B_i = log det B.
        keep: (B, G) bool, false for pruned blocks.
        noise: (B,) lambda, the variance of the noise.
    """

    root: Tensor
    b: Tensor
    scale: Tensor
    multiplier: Tensor
    keep: Tensor
    noise: Tensor


class Posterior(NamedTuple):
    """The posterior given the measurements and a prior.

    Attributes:
        mean: (B, G, L).
        second: (B, G, L, L) covariance within the block, plus the outer product of the mean.
        covariance: (B, G, L, L).
        cholesky: (B, M, M) lower factor of C = Phi Sigma0 Phi^T + lambda I.
        whitened: (B, M) cholesky^-1 y.
    """

    mean: Tensor
    second: Tensor
    covariance: Tensor
    cholesky: Tensor
    whitened: Tensor


def start(y: Tensor, valid: Tensor, noise: float) -> Prior:
    """All variances 1, no correlation, every block kept.

    Args:
        y: (B, M).
        valid: (G, L) bool.
        noise: first lambda.
    """
    batch, blocks, longest = y.shape[0], valid.shape[0], valid.shape[1]
    per_block = torch.zeros(batch, blocks, dtype=y.dtype, device=y.device)
    return Prior(
        root=torch.ones(batch, blocks, longest, dtype=y.dtype, device=y.device),
        b=per_block,
        scale=torch.ones_like(per_block),
        multiplier=per_block,
        keep=torch.ones_like(per_block, dtype=torch.bool),
        noise=torch.full((batch,), noise, dtype=y.dtype, device=y.device),
    )


def prune(prior: Prior, valid: Tensor, threshold: float) -> Tensor:
    """Mask (B, G) of the kept blocks, minus those whose mean variance has fallen to the threshold."""
    one = valid.to(prior.root.dtype)
    mean = (prior.root * prior.root * one).sum(-1) / one.sum(-1)
    lowest = torch.where(prior.keep, mean, torch.full_like(mean, float("inf"))).amin(-1)
    above = prior.keep & (mean > threshold)
    return torch.where((lowest < threshold)[:, None], above, prior.keep)


def covariance_of(prior: Prior, valid: Tensor) -> Tensor:
    """Sigma0 (B, G, L, L): 0 for pruned blocks and on padding."""
    on = prior.root * valid.to(prior.root.dtype)
    weight = prior.scale * prior.keep.to(prior.root.dtype)
    block = ar1.correlation(prior.b, valid.shape[1]) * weight[..., None, None]
    return block * on[..., :, None] * on[..., None, :]


def expectation(y: Tensor, phi: Tensor, prior: Prior, valid: Tensor, jitter: float = 0.0) -> Posterior:
    """Mean and covariance blocks of the signal given the measurements.

    The N x N matrix Phi^T C^-1 Phi is never formed; its diagonal blocks come from L^-1 Phi.

    Args:
        y: (B, M).
        phi: (1, M, G*L), or (B, M, G*L) for one operator per problem; 0 on padding.
        prior: see :class:`Prior`.
        valid: (G, L) bool.
        jitter: added to the diagonal of C.
    """
    batch, m = y.shape[0], y.shape[1]
    blocks, longest = valid.shape[0], valid.shape[1]
    sigma0 = covariance_of(prior, valid)
    columns = phi.reshape(phi.shape[0], m, blocks, longest).transpose(1, 2)  # (1 or B, G, M, L)
    spread = torch.matmul(columns, sigma0).transpose(1, 2).reshape(batch, m, blocks * longest)
    c = torch.matmul(spread, phi[0].t()) if phi.shape[0] == 1 else torch.bmm(spread, phi.transpose(1, 2))
    c = c + (prior.noise + jitter)[:, None, None] * torch.eye(m, dtype=y.dtype, device=y.device)
    factor = torch.linalg.cholesky_ex(c)[0]
    right = torch.cat([phi.expand(batch, -1, -1), y[:, :, None]], -1)
    white = torch.linalg.solve_triangular(factor, right, upper=False)
    white_y = white[:, :, -1]
    pulled = torch.matmul(white.transpose(1, 2), white_y[:, :, None])[:, :-1]  # H y
    white_phi = white[:, :, :-1].reshape(batch, m, blocks, longest).permute(0, 2, 1, 3)
    inner = torch.matmul(white_phi.transpose(2, 3), white_phi)  # (B, G, L, L)
    mean = torch.matmul(sigma0, pulled.reshape(batch, blocks, longest, 1))
    covariance = sigma0 - torch.matmul(torch.matmul(sigma0, inner), sigma0)
    second = covariance + torch.matmul(mean, mean.transpose(2, 3))
    return Posterior(mean[..., 0], second, covariance, factor, white_y)


def marginal_cost(posterior: Posterior) -> Tensor:
    """The cost (B,) log det C + y^T C^-1 y: what the iterations lower, for monitoring."""
    diagonal = torch.diagonal(posterior.cholesky, 0, -2, -1)
    return 2 * diagonal.log().sum(-1) + (posterior.whitened**2).sum(-1)


def _variances(second: Tensor, root: Tensor, diagonal: Tensor, beside: Tensor, smallest: float) -> Tensor:
    """sqrt(gamma) of every element, in order within a block, each using its left neighbour's new value.

    The positive root of the stationarity condition in 1/sqrt(gamma), written without cancellation.
    """
    on_diagonal = diagonal * torch.diagonal(second, 0, -2, -1)
    coupling = beside * torch.diagonal(second, 1, -2, -1)
    longest = root.shape[-1]
    new = torch.jit.annotate(list[Tensor], [])
    for j in range(longest):
        t = torch.zeros_like(root[..., 0])
        if j > 0:
            t = t + coupling[..., j - 1] / new[j - 1]
        if j + 1 < longest:
            t = t + coupling[..., j] / root[..., j + 1]
        a = on_diagonal[..., j]
        size = torch.sqrt(t * t + 4 * a)
        # Each form is used where its two terms have the same sign.
        down = 2 * a / torch.where(t < 0, size - t, torch.ones_like(t))
        new.append(torch.where(t < 0, down, (t + size) / 2).clamp(min=smallest))
    return torch.stack(new, -1)


def maximisation(
    posterior: Posterior,
    prior: Prior,
    valid: Tensor,
    diversify_variance: bool,
    diversify_correlation: bool,
    keep_scale: bool,
    dual_step: float = 0.01,
) -> Prior:
    """Correlations, then variances; the noise stays (see :func:`noise`).

    Args:
        posterior: of this iteration.
        prior: from which it was computed.
        valid: (G, L) bool.
        diversify_variance: one variance per element; otherwise one per block.
        diversify_correlation: one coefficient per block; otherwise one for all.
        keep_scale: keep the mean diagonal of R_i / (1 + 2 nu_i), so that the dual ascent acts; the published
            code divides by it, which cancels nu.
        dual_step: alpha of the dual ascent.
    """
    # Its square is about the smallest variance that the dtype can represent.
    smallest = 1e-150 if posterior.second.dtype == torch.float64 else 1e-18
    r = posterior.second / (prior.root[..., :, None] * prior.root[..., None, :])
    common = ar1.project_mean(r, prior.keep, valid)[:, None] * (valid.sum(-1) > 1).to(r.dtype)
    scale, multiplier = torch.ones_like(prior.scale), prior.multiplier
    b = common
    if diversify_correlation:
        b, size = ar1.project(r, valid)
        if keep_scale:
            scale = size / (1 + 2 * multiplier)
            gap = valid.sum(-1).to(r.dtype) * scale.log()
            gap = gap + ar1.log_determinant(b, valid) - ar1.log_determinant(common, valid)
            multiplier = (multiplier + dual_step * gap).clamp(min=-0.45)  # 1 + 2 nu stays positive
    b = torch.where(prior.keep, b, torch.zeros_like(b))
    scale = torch.where(prior.keep, scale, torch.ones_like(scale))
    diagonal, beside = ar1.inverse_bands(b, valid)
    diagonal, beside = diagonal / scale[..., None], beside / scale[..., None]
    if diversify_variance:
        root = _variances(posterior.second, prior.root, diagonal, beside, smallest)
    else:
        trace = (diagonal * torch.diagonal(posterior.second, 0, -2, -1)).sum(-1)
        trace = trace + 2 * (beside * torch.diagonal(posterior.second, 1, -2, -1)).sum(-1)
        root = torch.sqrt(trace / valid.sum(-1)).clamp(min=smallest)[..., None].expand_as(prior.root)
    root = torch.where(prior.keep[..., None] & valid, root, torch.ones_like(root))
    return Prior(root, b, scale, multiplier, prior.keep, prior.noise)


def noise(
    y: Tensor, phi: Tensor, gram: Tensor, posterior: Posterior, prior: Prior, full_trace: bool
) -> Tensor:
    """The new lambda (B,).

    Args:
        y: (B, M).
        phi: (1 or B, M, G*L).
        gram: (1 or B, G, L, L) diagonal blocks of Phi^T Phi.
        posterior: of this iteration.
        prior: from which it was computed.
        full_trace: use the whole posterior covariance, as EM requires; otherwise only its diagonal blocks, as
            published.
    """
    m = y.shape[1]
    mean = posterior.mean.flatten(1)
    rest = y - torch.matmul(phi, mean[:, :, None])[:, :, 0]
    if full_trace:
        # tr(Phi Sigma Phi^T) = lambda (M - lambda tr C^-1)
        eye = torch.eye(m, dtype=y.dtype, device=y.device).expand(y.shape[0], m, m)
        inverse = torch.linalg.solve_triangular(posterior.cholesky, eye, upper=False)
        trace = prior.noise * (m - prior.noise * (inverse**2).sum((1, 2)))
    else:
        trace = (gram * posterior.covariance).sum((1, 2, 3))
    return ((rest**2).sum(1) + trace) / m
