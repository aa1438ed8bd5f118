"""SBL: the relevance vector machine by fast marginal likelihood, a baseline without blocks.

Source: Tipping, Faul. Fast Marginal Likelihood Maximisation for Sparse Bayesian Models. AISTATS 2003; with
the fixed noise and the end of Ji, Xue, Carin. Bayesian Compressive Sensing. IEEE Transactions on Signal
Processing 2008; divsbl/docs/method.md#sbl.
"""

import torch
from torch import Tensor

from divsbl.recovery import LinearRecovery

__all__ = ["FastSBL"]


class FastSBL(LinearRecovery):
    """Recovery that adds, re-estimates or deletes one element a step, whichever raises the likelihood most.

    Its operator and basis are the buffers ``phi`` and ``psi``, which a sweep sets.

    Args:
        measurements: M.
        length: N.
        noise_share: variance of the noise as a share of that of the measurements (divisor M - 1); fixed.
        iterations: upper limit of the steps.
        tolerance: ends once, after the second step, the gain changes by less than this share of its distance
            from the first gain.
    """

    def __init__(
        self,
        measurements: int,
        length: int,
        *,
        noise_share: float = 0.01,
        iterations: int = 10000,
        tolerance: float = 1e-8,
    ) -> None:
        super().__init__(measurements, length)
        self.noise_share, self.iterations = float(noise_share), int(iterations)
        self.tolerance = float(tolerance)

    def solve(self, y: Tensor, operator: Tensor) -> Tensor:
        """(K, M) measurements to (K, N) coefficients; the operator is (1, M, N) for all, or (K, M, N)."""
        found = torch.zeros(y.shape[0], operator.shape[2], dtype=y.dtype, device=y.device)
        rows = torch.nonzero(y.var(1) > 0)[:, 0]
        y, operator = y[rows], operator[rows] if operator.shape[0] > 1 else operator
        noise = self.noise_share * y.var(1)
        power = self._start(y, operator, noise)
        first, last = torch.zeros_like(noise), torch.zeros_like(noise)
        for step in range(self.iterations):
            if rows.numel() == 0:
                break
            sparsity, quality = self._factors(y, operator, power, noise)
            gain, new = self._gains(power, sparsity, quality)
            best, at = gain.max(1)
            power = power.scatter(1, at[:, None], new.gather(1, at[:, None]))
            first = best if step == 0 else first
            done = (best - last).abs() < self.tolerance * (best - first).abs()
            last = best
            if step < 2 or not bool(done.any()):
                continue
            found[rows[done]] = (power * self._factors(y, operator, power, noise)[1])[done]
            on = ~done
            rows, y, noise, power, first, last = rows[on], y[on], noise[on], power[on], first[on], last[on]
            if operator.shape[0] > 1:
                operator = operator[on]
        if rows.numel() > 0:
            found[rows] = power * self._factors(y, operator, power, noise)[1]
        return found

    def _start(self, y: Tensor, operator: Tensor, noise: Tensor) -> Tensor:
        """Prior variances (K, N), 1 / alpha: that of the best single element, and 0."""
        squares = (operator**2).sum(1).expand(y.shape[0], -1)
        projected = torch.matmul(y[:, None], operator)[:, 0] ** 2 / squares
        at = projected.argmax(1, keepdim=True)
        only = (projected.gather(1, at) - noise[:, None]) / squares.gather(1, at)
        return torch.zeros_like(projected).scatter(1, at, only.clamp(min=0))

    def _factors(self, y: Tensor, operator: Tensor, power: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """S = phi' C^-1 phi and Q = phi' C^-1 y of every element, (K, N); the estimate is power Q."""
        eye = torch.eye(y.shape[1], dtype=y.dtype, device=y.device)
        c = torch.matmul(operator * power[:, None], operator.transpose(1, 2)) + noise[:, None, None] * eye
        right = torch.cat([operator.expand(y.shape[0], -1, -1), y[:, :, None]], -1)
        white = torch.linalg.solve_triangular(torch.linalg.cholesky_ex(c)[0], right, upper=False)
        columns = white[:, :, :-1]
        return (columns**2).sum(1), torch.matmul(white[:, :, -1:].transpose(1, 2), columns)[:, 0]

    def _gains(self, power: Tensor, sparsity: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
        """Gain in twice the log likelihood of the best change of each element, and its new variance."""
        # Without the element itself: s = S / (1 - S / alpha), q = Q / (1 - S / alpha).
        without = 1 - power * sparsity
        s, q = sparsity / without, quality / without
        new = ((q**2 - s) / s**2).clamp(min=0)
        # The likelihood's terms in one variance v: q^2 v / (1 + v s) - log(1 + v s).
        before = q**2 * power / (1 + power * s) - torch.log1p(power * s)
        return q**2 * new / (1 + new * s) - torch.log1p(new * s) - before, new
