"""Group lasso: the convex baseline with preset blocks.

    min_x |y - Phi x|^2 + w sum_i |x_i|

Source: Yuan, Lin. Model selection and estimation in regression with grouped variables. JRSS B 2006; solved by
the alternating direction method of multipliers (Boyd et al., Foundations and Trends in Machine Learning,
2011); divsbl/docs/method.md#group-lasso.
"""

import torch
from torch import Tensor

from divsbl.recovery import BlockRecovery

__all__ = ["GroupLasso"]


class GroupLasso(BlockRecovery):
    """Recovery that penalises the sum of the blocks' norms.

    Args:
        measurements: M.
        length: N.
        block_size: see :class:`divsbl.recovery.BlockRecovery`.
        block_starts: see :class:`divsbl.recovery.BlockRecovery`.
        basis: see :class:`divsbl.recovery.LinearRecovery`.
        operator_seed: see :class:`divsbl.recovery.LinearRecovery`.
        weight: w, in the units of the measurements; 0.3 is published for signals and pictures alike.
        iterations: upper limit.
        tolerance: ends once both residuals are below this share of the terms that they compare.

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
        weight: float = 0.3,
        iterations: int = 10000,
        tolerance: float = 1e-8,
    ) -> None:
        super().__init__(
            measurements,
            length,
            block_size=block_size,
            block_starts=block_starts,
            basis=basis,
            operator_seed=operator_seed,
        )
        if not weight > 0:
            raise ValueError(f"weight={weight}; expected a number above 0")
        self.weight, self.iterations, self.tolerance = float(weight), int(iterations), float(tolerance)

    def solve(self, y: Tensor, operator: Tensor) -> Tensor:
        """(K, M) measurements to (K, N) coefficients; the operator is (1, M, N) for all, or (K, M, N)."""
        # Through the singular values, another penalty rho costs no new factorisation.
        _, singular, right = torch.linalg.svd(operator, full_matrices=False)
        curvature = 2 * singular**2
        pull = 2 * _times(operator.transpose(1, 2), y)
        rho = curvature.mean(1, keepdim=True) * torch.ones_like(y[:, :1])
        z, dual = torch.zeros_like(pull), torch.zeros_like(pull)
        for iteration in range(self.iterations):
            towards = pull + rho * (z - dual)
            inside = _times(right, towards) * curvature / (curvature + rho)
            x = (towards - _times(right.transpose(1, 2), inside)) / rho
            before = z
            z = self._shrink(x + dual, self.weight / rho)
            dual = dual + x - z
            primal = _norm(x - z) / torch.maximum(_norm(x), _norm(z)).clamp(min=1e-300)
            stationary = _norm(z - before) / _norm(dual).clamp(min=1e-300)
            if bool((torch.maximum(primal, stationary) < self.tolerance).all()):
                break
            if iteration % 20 == 19 and iteration < self.iterations // 2:
                factor = torch.sqrt(primal / stationary.clamp(min=1e-300)).clamp(0.2, 5.0)
                rho, dual = rho * factor, dual / factor
        return z

    def _shrink(self, x: Tensor, by: Tensor) -> Tensor:
        """Every block of (K, N) made shorter by (K, 1), down to 0."""
        blocks = x[:, self.index.flatten()].reshape(x.shape[0], *self.valid.shape) * self.valid
        norms = torch.linalg.vector_norm(blocks, dim=-1, keepdim=True)
        kept = blocks * (1 - by[:, :, None] / norms.clamp(min=1e-300)).clamp(min=0)
        shrunk = torch.zeros_like(x)
        shrunk[:, self.index[self.valid]] = kept[:, self.valid]
        return shrunk


def _times(matrix: Tensor, vectors: Tensor) -> Tensor:
    """(1 or K, R, S) times (K, S)."""
    return torch.matmul(matrix, vectors[:, :, None])[:, :, 0]


def _norm(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x, dim=1, keepdim=True)
