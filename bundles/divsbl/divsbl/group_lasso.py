"""Group lasso: the convex baseline with preset blocks.

    min_x 1/2 |y - Phi x|^2 + w sum_i sqrt(L_i) |x_i|,    w = fraction * (the smallest w for which x = 0)

Source: Yuan, Lin. Model selection and estimation in regression with grouped variables. JRSS B 2006; solved by
accelerated proximal gradient descent (Beck, Teboulle, 2009).
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
        fraction: the weight as a share, 0 to 1, of the smallest one that gives x = 0.
        iterations: number of proximal steps.
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
        fraction: float = 0.05,
        iterations: int = 500,
    ) -> None:
        super().__init__(
            measurements,
            length,
            block_size=block_size,
            block_starts=block_starts,
            basis=basis,
            operator_seed=operator_seed,
        )
        if not 0 < fraction < 1:
            raise ValueError(f"fraction={fraction}; expected a number between 0 and 1")
        self.fraction, self.iterations = float(fraction), int(iterations)

    def _norms(self, x: Tensor) -> Tensor:
        """(K, N) to each block's norm divided by the root of its length, (K, G)."""
        squares = (x[:, self.index.flatten()] ** 2).reshape(x.shape[0], *self.valid.shape) * self.valid
        return (squares.sum(-1) / self.valid.sum(-1)).sqrt()

    def coefficients(self, y: Tensor, operator: Tensor) -> Tensor:
        """(K, M) measurements to (K, N) coefficients, with one operator (M, N) for all."""
        step = 1 / torch.linalg.matrix_norm(operator, 2) ** 2
        back = torch.matmul(y, operator)
        weight = self.fraction * self._norms(back).amax(1)
        block_of = torch.zeros(self.length, dtype=torch.int64, device=y.device)
        numbers = torch.arange(self.valid.shape[0], device=y.device)[:, None].expand_as(self.index)
        block_of[self.index[self.valid]] = numbers[self.valid]

        x = torch.zeros_like(back)
        ahead, momentum = x, 1.0
        for _ in range(self.iterations):
            down = ahead + step * torch.matmul(y - torch.matmul(ahead, operator.t()), operator)
            norms = self._norms(down)
            # sqrt(L) |x| is L times the norm over the root of the length.
            shrink = (1 - step * weight[:, None] / norms.clamp(min=1e-300)).clamp(min=0)
            new = down * shrink[:, block_of]
            next_momentum = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
            ahead, x = new + (momentum - 1) / next_momentum * (new - x), new
            momentum = next_momentum
        return x
