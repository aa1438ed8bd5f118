"""PC-SBL: pattern-coupled sparse Bayesian learning, a baseline that needs no block structure.

Source: Fang, Shen, Li, Li. Pattern-Coupled Sparse Bayesian Learning for Recovery of Block-Sparse Signals.
IEEE Transactions on Signal Processing, 2015, divsbl/docs/method.md#pc-sbl.
"""

import torch
from torch import Tensor

from divsbl.recovery import LinearRecovery

__all__ = ["PCSBL"]


class PCSBL(LinearRecovery):
    """Recovery in which each element shares its precision with its two neighbours.

    Its operator and basis are the buffers ``phi`` and ``psi``, which a sweep sets.

    Args:
        measurements: M.
        length: N.
        noise: variance of the noise, initial or fixed.
        learn_noise: estimate it (signals); off: keep it fixed (images, at 4).
        iterations: upper limit.
        tolerance: a problem is finished once its estimate changes by no more than this, in the 2-norm.
    """

    def __init__(
        self,
        measurements: int,
        length: int,
        *,
        noise: float = 1.0,
        learn_noise: bool = True,
        iterations: int = 500,
        tolerance: float = 1e-6,
    ) -> None:
        super().__init__(measurements, length)
        self.noise, self.learn_noise = float(noise), learn_noise
        self.iterations, self.tolerance = int(iterations), float(tolerance)

    def solve(self, y: Tensor, operator: Tensor) -> Tensor:
        """(K, M) measurements to (K, N) coefficients; the operator is (1, M, N) for all, or (K, M, N)."""
        found = torch.zeros(y.shape[0], operator.shape[2], dtype=y.dtype, device=y.device)
        rows = torch.arange(y.shape[0], device=y.device)
        precision = torch.ones_like(found)
        noise = torch.full((y.shape[0],), self.noise, dtype=y.dtype, device=y.device)
        mean, variance, trace = self._posterior(y, operator, precision, noise)
        before = torch.ones_like(mean)
        for _ in range(self.iterations):
            on = torch.linalg.vector_norm(mean - before, dim=1) >= self.tolerance
            found[rows] = mean
            if not bool(on.any()):
                break
            rows, y, mean, variance = rows[on], y[on], mean[on], variance[on]
            noise, trace = noise[on], trace[on]
            if operator.shape[0] > 1:
                operator = operator[on]
            power = self._with_neighbours(mean * mean + variance)
            precision = self._with_neighbours((0.5 / (0.5 * power + 1e-10)).clamp(max=1e10))
            if self.learn_noise:
                rest = y - torch.matmul(operator, mean[:, :, None])[:, :, 0]
                noise = ((rest**2).sum(1) + trace) / y.shape[1]
            before = mean
            mean, variance, trace = self._posterior(y, operator, precision, noise)
        found[rows] = mean
        return found

    def _with_neighbours(self, x: Tensor) -> Tensor:
        """Sum of each element and its two neighbours, (K, N); neighbours beyond the ends count as 0."""
        padded = torch.nn.functional.pad(x, [1, 1])
        return padded[:, :-2] + x + padded[:, 2:]

    def _posterior(
        self, y: Tensor, operator: Tensor, precision: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Mean and variance (K, N), and tr(Phi Sigma Phi^T) (K,), through the M x M matrix C.

        ``operator`` is (1, M, N) or (K, M, N).
        """
        m = y.shape[1]
        spread = operator / precision[:, None, :]
        eye = torch.eye(m, dtype=y.dtype, device=y.device).expand(y.shape[0], m, m)
        c = torch.matmul(spread, operator.transpose(1, 2)) + noise[:, None, None] * eye
        factor = torch.linalg.cholesky_ex(c)[0]
        white = torch.linalg.solve_triangular(factor, torch.cat([spread, y[:, :, None]], -1), upper=False)
        mean = torch.matmul(white[:, :, :-1].transpose(1, 2), white[:, :, -1:])[:, :, 0]
        variance = 1 / precision - (white[:, :, :-1] ** 2).sum(1)
        inverse = torch.linalg.solve_triangular(factor, eye, upper=False)
        trace = noise * (m - noise * (inverse**2).sum((1, 2)))
        return mean, variance, trace
