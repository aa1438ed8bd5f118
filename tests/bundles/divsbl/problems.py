"""Seeded problems (divsbl/docs/method.md#synthetic-signals): four runs of unequal length and amplitude, noise
at 15 dB."""

from __future__ import annotations

import torch
from torch import Tensor

import common  # noqa: F401 (makes bundles importable)
from common.blocks.sensing import gaussian_operator
from common.phantoms.signals.kinds import block_sparse


def problems(count: int, *, seed: int = 0, m: int = 80, n: int = 162, db: float = 15) -> tuple[Tensor, ...]:
    """Operator (M, N), measurements (K, M), signals (K, N)."""
    import numpy as np

    rng = np.random.default_rng(seed)
    x = torch.from_numpy(np.stack([block_sparse(n, rng) for _ in range(count)]))
    phi = gaussian_operator(m, n, seed=seed)
    clean = x @ phi.T
    noise = torch.from_numpy(rng.standard_normal(clean.shape))
    return phi, clean + noise * clean.std(1, keepdim=True) * 10 ** (-db / 20), x


def nmse(found: Tensor, truth: Tensor) -> Tensor:
    return ((found - truth) ** 2).sum(1) / (truth**2).sum(1)
