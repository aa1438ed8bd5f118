"""What all recoveries share: the operator, the basis, and applying both to a batch of signals.

Axes: B batch, C channels, M measurements, W signals side by side (the columns of an image, the leads of
a recording; 1 for a single signal), N samples of a signal, K = B * C * W problems.
"""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from common.blocks.sensing import basis_matrix, gaussian_operator
from divsbl.partition import block_table, equal_starts

__all__ = ["BlockRecovery", "LinearRecovery"]


class LinearRecovery(nn.Module):
    """Measurements in, signals out; subclasses implement ``solve``.

    Buffers: ``phi`` (M, N), the operator that measures; ``psi`` (N, N), whose columns are the atoms in which
    the signal is sparse.  Both belong to the state dict.

    Args:
        measurements: M.
        length: N.
        basis: "identity", "dct", "haar" or "daubechies2" (see :mod:`common.blocks.sensing`).
        operator_seed: seed of the initial ``phi``, a Gaussian operator with unit-norm columns.
        single: compute in float32, which loses small eigenvalues; float64 otherwise.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        measurements: int,
        length: int,
        *,
        basis: str = "identity",
        operator_seed: int = 0,
        single: bool = False,
    ) -> None:
        super().__init__()
        if not 1 < measurements <= length:
            raise ValueError(
                f"measurements={measurements}, length={length}; expected 1 < measurements <= length"
            )
        self.measurements, self.length = measurements, length
        self.work_dtype = torch.float32 if single else torch.float64
        self.register_buffer("phi", gaussian_operator(measurements, length, seed=operator_seed))
        self.register_buffer("psi", basis_matrix(basis, length))

    def forward(self, image: Tensor, operator: Tensor | None = None) -> Tensor:
        """(B, C, M, W) measurements to (B, C, N, W) signals, in the units and the dtype of the measurements.

        Args:
            image: the measurements.
            operator: (B, M, N), what measured each of the B cases; without it ``phi`` measured all.

        Raises:
            ValueError: the third axis is not M, or the operators have another shape.
        """
        y, phi = self.problems(image, operator)
        return self.signals(self.coefficients(y, phi), image)

    def coefficients(self, y: Tensor, operator: Tensor) -> Tensor:
        """(K, M) measurements to (K, N) coefficients.

        Args:
            y: the measurements.
            operator: (M, N) for all, or (K, M, N); it maps coefficients to measurements.
        """
        return self.solve(y, operator[None] if operator.ndim == 2 else operator)

    @abstractmethod
    def solve(self, y: Tensor, operator: Tensor) -> Tensor:
        """(K, M) measurements to (K, N) coefficients; the operator is (1, M, N) for all, or (K, M, N)."""

    def problems(self, image: Tensor, operator: Tensor | None) -> tuple[Tensor, Tensor]:
        """The columns of a batch as problems (K, M), and their operator on coefficients, (M, N) or (K, M, N).

        Args:
            image: (B, C, M, W).
            operator: (B, M, N), or None for ``phi``.
        """
        if image.ndim != 4 or image.shape[2] != self.measurements:
            raise ValueError(f"expected measurements (B, C, {self.measurements}, W), got {list(image.shape)}")
        batch, channels, _, width = image.shape
        if operator is None:
            phi = self.phi
        else:
            expected = [batch, self.measurements, self.length]
            if list(operator.shape) != expected:
                raise ValueError(f"expected operators {expected}, got {list(operator.shape)}")
            phi = operator[0] if batch == 1 else operator.repeat_interleave(channels * width, 0)
        return self.columns(image), torch.matmul(phi.to(self.work_dtype), self.psi.to(self.work_dtype))

    def columns(self, x: Tensor) -> Tensor:
        """(B, C, S, W) to (K, S), in the dtype of the work."""
        return x.permute(0, 1, 3, 2).flatten(0, 2).to(self.work_dtype)

    def signals(self, found: Tensor, image: Tensor) -> Tensor:
        """(K, N) coefficients to signals (B, C, N, W), as many and in the dtype of the measurements."""
        batch, channels, _, width = image.shape
        signal = torch.matmul(found, self.psi.to(self.work_dtype).t())
        signal = signal.reshape(batch, channels, width, self.length)
        return signal.permute(0, 1, 3, 2).to(image.dtype)


class BlockRecovery(LinearRecovery):
    """A recovery with preset blocks of contiguous elements, equal in length or not.

    The blocks' starts are a buffer too (``begins``, (N,) bool), so they are saved with the state dict.

    Args:
        measurements: M.
        length: N.
        block_size: preset length of a block, in elements.
        block_starts: first element of every block, for unequal blocks; replaces ``block_size``.
        basis: as above.
        operator_seed: as above.
        single: as above.

    Raises:
        ValueError: an argument is out of range, or not exactly one of the two block arguments is given.
    """

    def __init__(
        self,
        measurements: int,
        length: int,
        *,
        block_size: int | None,
        block_starts: list[int] | None,
        basis: str,
        operator_seed: int,
        single: bool = False,
    ) -> None:
        super().__init__(measurements, length, basis=basis, operator_seed=operator_seed, single=single)
        if (block_size is None) == (block_starts is None):
            raise ValueError("give either block_size or block_starts")
        self.register_buffer("begins", torch.zeros(length, dtype=torch.bool))
        self.register_buffer("index", torch.zeros(1, 1, dtype=torch.int64), persistent=False)
        self.register_buffer("valid", torch.ones(1, 1, dtype=torch.bool), persistent=False)
        self._set_starts(equal_starts(length, block_size) if block_starts is None else list(block_starts))

    @torch.jit.unused
    def _set_starts(self, starts: list[int]) -> None:
        index, valid = block_table(self.length, starts)
        self.index, self.valid = index.to(self.phi.device), valid.to(self.phi.device)
        begins = torch.zeros(self.length, dtype=torch.bool)
        begins[starts] = True
        self.begins = begins.to(self.phi.device)

    @torch.jit.unused
    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        """Restore the block table from the state as well."""
        super()._load_from_state_dict(*args, **kwargs)
        self._set_starts(torch.nonzero(self.begins)[:, 0].tolist())

    @torch.jit.unused
    def set_block_size(self, block_size: int) -> None:
        """Switch to equal blocks of another length.

        Raises:
            ValueError: it is not a whole number from 1 to the signal's length.
        """
        self._set_starts(equal_starts(self.length, block_size))
