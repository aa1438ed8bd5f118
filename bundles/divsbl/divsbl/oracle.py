"""Oracle: least squares by one who knows where the signal is not zero; a bound, not a method."""

import torch
from torch import Tensor

from divsbl.recovery import LinearRecovery

__all__ = ["Oracle"]


class Oracle(LinearRecovery):
    """Least squares on the true support, 0 elsewhere (divsbl/docs/method.md#others).

    Where more coefficients differ from 0 than were measured, this is the solution of least norm, and no bound
    on anything.

    Args:
        measurements: M.
        length: N.
        smallest: coefficients below this share of their signal's largest count as 0, since a basis is exact
            to rounding alone.
    """

    #: Whether ``forward`` is told the true signal.
    takes_truth = True

    def __init__(self, measurements: int, length: int, *, smallest: float = 1e-10) -> None:
        super().__init__(measurements, length)
        self.smallest = float(smallest)

    def forward(self, image: Tensor, operator: Tensor | None = None, *, truth: Tensor) -> Tensor:
        """(B, C, M, W) measurements and (B, C, N, W) true signals to signals (B, C, N, W).

        Args:
            image: the measurements.
            operator: (B, M, N), what measured each of the B cases; without it ``phi`` measured all.
            truth: the true signals.
        """
        y, phi = self.problems(image, operator)
        sizes = torch.matmul(self.columns(truth), self.psi.to(self.work_dtype)).abs()
        on = sizes > self.smallest * sizes.amax(1, keepdim=True)
        return self.signals(self.solve(y, phi * on[:, None]) * on, image)

    def solve(self, y: Tensor, operator: Tensor) -> Tensor:
        """The least-squares solution of least norm (K, N); the operator is (1 or K, M, N)."""
        return torch.matmul(torch.linalg.pinv(operator), y[:, :, None])[:, :, 0]
