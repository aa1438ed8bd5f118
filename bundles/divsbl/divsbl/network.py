"""DivSBL as a module: measurements in, signal out, nothing to train.

Axes: K problems, M measurements, N samples of a signal, G blocks, L longest block.

Source: Zhang, Zhu, Xia. Block Sparse Bayesian Learning: A Diversified Scheme. NeurIPS 2024;
divsbl/docs/method.md#network.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from divsbl import em
from divsbl.recovery import BlockRecovery

__all__ = ["DivSBL", "Recovery"]


class Recovery(NamedTuple):
    """The result for K problems.

    Attributes:
        coefficients: (K, N) in the units of the measurements.
        iterations: (K,) int64, the iteration of the returned estimate.
        noise: (K,) its lambda, in the rescaled units.
    """

    coefficients: Tensor
    iterations: Tensor
    noise: Tensor


class DivSBL(BlockRecovery):
    """Recover block-sparse signals from M < N linear measurements.

    Args:
        measurements: M.
        length: N.
        block_size: preset length of a block, in elements; the method tolerates a wrong one.
        block_starts: first element of every block, for unequal blocks; replaces ``block_size``.
        basis: "identity", "dct", "haar" or "daubechies2" (see :mod:`common.blocks.sensing`).
        operator_seed: see :class:`divsbl.recovery.LinearRecovery`.
        prune: blocks whose mean variance falls to this value are dropped; in the rescaled units.  It depends
            on the kind of data (1e-2 synthetic, 6e-3 audio, 2.2e-5 image columns).
        tolerance: a problem is finished once its estimate changes by no more than this.
        first_noise: lambda at the start.
        iterations: upper limit.
        diversify_variance: one variance per element; off: one per block.
        diversify_correlation: one correlation per block; off: one for all.  Both off: BSBL-EM.
        project: "ar1" as published, or "ar1_scaled", in which the constraint on the determinants acts.
        full_trace: estimate the noise from the whole posterior covariance, not only its diagonal blocks.
        single: compute in float32, which loses small eigenvalues; float64 otherwise.
        jitter: added to the diagonal of the matrix that is factorised; for ``single``.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        measurements: int,
        length: int,
        *,
        block_size: int | None = None,
        block_starts: list[int] | None = None,
        basis: str = "identity",
        operator_seed: int = 0,
        prune: float = 1e-2,
        tolerance: float = 1e-4,
        first_noise: float = 1e-3,
        iterations: int = 800,
        diversify_variance: bool = True,
        diversify_correlation: bool = True,
        project: str = "ar1",
        full_trace: bool = False,
        single: bool = False,
        jitter: float = 0.0,
    ) -> None:
        super().__init__(
            measurements,
            length,
            block_size=block_size,
            block_starts=block_starts,
            basis=basis,
            operator_seed=operator_seed,
            single=single,
        )
        if project not in ("ar1", "ar1_scaled"):
            raise ValueError(f'project={project!r}; expected "ar1" or "ar1_scaled"')
        if iterations < 1:
            raise ValueError(f"iterations={iterations}; expected at least 1")
        self.prune, self.tolerance, self.first_noise = float(prune), float(tolerance), float(first_noise)
        self.iterations = int(iterations)
        self.diversify_variance, self.diversify_correlation = diversify_variance, diversify_correlation
        self.keep_scale, self.full_trace = project == "ar1_scaled", full_trace
        self.jitter = float(jitter)

    def solve(self, y: Tensor, operator: Tensor) -> Tensor:
        """(K, M) measurements to (K, N) coefficients, with (1, M, N) or (K, M, N); see :meth:`recover`."""
        return self.recover(y, operator).coefficients

    def recover(self, y: Tensor, operator: Tensor) -> Recovery:
        """The coefficients of K problems at once.

        Args:
            y: (K, M).
            operator: (M, N) for all of them, or (K, M, N); it maps coefficients to measurements.

        A finished problem is frozen by a mask and leaves the batch at the next check.
        """
        deviation = y.std(1)
        rescale = ((deviation < 0.4) | (deviation > 1.0)) & (deviation > 0)
        factor = torch.where(rescale, 0.4 / deviation, torch.ones_like(deviation))
        y = y * factor[:, None]

        operator = operator.to(y.dtype)
        if operator.ndim == 2:
            operator = operator[None]
        valid, flat = self.valid, self.index.flatten()
        phi = operator[:, :, flat] * valid.flatten().to(y.dtype)
        blocks, longest = valid.shape[0], valid.shape[1]
        columns = phi.reshape(phi.shape[0], self.measurements, blocks, longest).transpose(1, 2)
        gram = torch.matmul(columns.transpose(2, 3), columns)

        kept = torch.zeros(y.shape[0], blocks, longest, dtype=y.dtype, device=y.device)
        counts = torch.zeros(y.shape[0], dtype=torch.int64, device=y.device)
        noises = torch.full_like(deviation, self.first_noise)
        rows = torch.nonzero((y != 0).any(1))[:, 0]  # all-zero measurements have the zero signal
        y, phi, gram = self._rows(y, phi, gram, rows)
        prior = em.start(y, valid, self.first_noise)
        before = torch.zeros(y.shape[0], blocks, longest, dtype=y.dtype, device=y.device)
        active = torch.ones(y.shape[0], dtype=torch.bool, device=y.device)
        for iteration in range(1, self.iterations + 1):
            if rows.numel() == 0:
                break
            keep = em.prune(prior, valid, self.prune)
            shrunk = (keep != prior.keep).any(1)
            prior = em.Prior(prior.root, prior.b, prior.scale, prior.multiplier, keep, prior.noise)
            posterior = em.expectation(y, phi, prior, valid, self.jitter)
            learnt = em.maximisation(
                posterior, prior, valid, self.diversify_variance, self.diversify_correlation, self.keep_scale
            )
            noise = em.noise(y, phi, gram, posterior, prior, self.full_trace)
            still = (posterior.mean - before).abs().amax((1, 2)) < self.tolerance
            # The published code stores its results after the convergence test, so it returns the last
            # estimate but one.
            active = active & ~(still & ~shrunk & keep.any(1))
            at = rows[active]
            kept[at] = posterior.mean[active]
            counts[at] = iteration
            noises[at] = noise[active]
            active = active & keep.any(1)
            before = posterior.mean
            prior = em.Prior(learnt.root, learnt.b, learnt.scale, learnt.multiplier, keep, noise)
            # A check synchronises with the device, so it is made every ten iterations.
            if iteration % 10 == 0 and not bool(active.all()):
                on = torch.nonzero(active)[:, 0]
                y, phi, gram = self._rows(y, phi, gram, on)
                prior = em.Prior(
                    prior.root[on],
                    prior.b[on],
                    prior.scale[on],
                    prior.multiplier[on],
                    prior.keep[on],
                    noise[on],
                )
                before, rows, active = before[on], rows[on], active[on]
        spread = torch.zeros(kept.shape[0], self.length, dtype=y.dtype, device=y.device)
        on_signal = valid.flatten()
        spread[:, flat[on_signal]] = kept.flatten(1)[:, on_signal]
        return Recovery(spread / factor[:, None], counts, noises)

    def _rows(self, y: Tensor, phi: Tensor, gram: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if phi.shape[0] > 1:
            phi, gram = phi[rows], gram[rows]
        return y[rows], phi, gram
