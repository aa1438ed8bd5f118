"""DivSBL: a batch of signals on the device beside a plain loop over them.

"direct" is the loop: the same module, one signal at a time.  Both take a fixed number of iterations, so that
the same work is compared.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

import common  # noqa: F401 (puts the bundles on sys.path)
from benchmarks.speed.measure import Case
from common.blocks.sensing import gaussian_operator
from common.phantoms.signals.kinds import block_sparse

DivSBL = importlib.import_module("divsbl.network").DivSBL  # once common has made it findable

MEASUREMENTS, LENGTH = 80, 162
ITERATIONS = 5


def cases(*, quick: bool, device: str) -> Iterator[Case]:
    """Growing batches of the paper's synthetic problem; ``tokens`` is the number of signals."""
    on_cpu = torch.device(device).type == "cpu"
    batches = (2, 6) if quick else (8, 32) if on_cpu else (8, 64, 512)
    rng = np.random.default_rng(0)
    phi = gaussian_operator(MEASUREMENTS, LENGTH, seed=0)
    for batch in batches:
        x = torch.from_numpy(np.stack([block_sparse(LENGTH, rng) for _ in range(batch)]))
        y = (x @ phi.T + 0.5 * torch.from_numpy(rng.standard_normal((batch, MEASUREMENTS)))).to(device)
        for block_size in (18,) if quick else (6, 18):
            network = DivSBL(
                MEASUREMENTS, LENGTH, block_size=block_size, iterations=ITERATIONS, tolerance=0.0
            ).to(device)
            yield Case(
                what=f"{ITERATIONS} iterations, block size {block_size}, beside a loop over signals",
                size=f"{batch} x {MEASUREMENTS} x {LENGTH}",
                tokens=batch,
                ours=_batched(network, y, phi.to(device)),
                direct=_looped(network, y, phi.to(device)),
            )


def _batched(network: torch.nn.Module, y: torch.Tensor, phi: torch.Tensor) -> Callable[[], Any]:
    @torch.no_grad()
    def run() -> Any:
        return network.recover(y, phi)

    return run


def _looped(network: torch.nn.Module, y: torch.Tensor, phi: torch.Tensor) -> Callable[[], Any]:
    @torch.no_grad()
    def run() -> list[Any]:
        return [network.recover(one[None], phi) for one in y]

    return run
