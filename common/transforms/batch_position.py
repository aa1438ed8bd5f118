"""A random transform chosen by the place of a case in its batch (nnU-Net's foreground oversampling)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np
from monai.transforms import Randomizable, Transform

__all__ = ["ByBatchPosition"]


class ByBatchPosition(Randomizable, Transform):
    """One transform for the first cases of every batch, another for the last ones.

    A loader draws the cases of a batch one after the other, in one process, so the place in the batch
    is the number of calls since the last seeding, modulo the batch size.  MONAI's loader seeds the
    transforms of every worker process as it starts, and ``EpochSeed`` those of the main process at
    every epoch; batches must be full (``drop_last``).

    Source: nnU-Net's rule (cotr/docs/method.md#sampling): case i of B gets ``last`` if
    ``i >= round(B * (1 - share))``; with B = 2 and a share of one third that is one of the two.

    Args:
        first: for the first cases, such as a crop anywhere.
        last: for the last ones, such as a crop around foreground.
        batch_size: B.
        share: share of the batch that gets ``last``, in [0, 1].

    Raises:
        ValueError: a share outside [0, 1], or a batch size below 1.
    """

    def __init__(
        self,
        first: Callable[[Mapping[Hashable, Any]], Any],
        last: Callable[[Mapping[Hashable, Any]], Any],
        *,
        batch_size: int,
        share: float,
    ) -> None:
        if not 0 <= share <= 1 or batch_size < 1:
            raise ValueError(
                f"ByBatchPosition: share={share}, batch_size={batch_size}; expected a share in [0, 1] and "
                "at least one case"
            )
        self.first, self.last, self.batch_size = first, last, batch_size
        self.first_count = round(batch_size * (1 - share))
        self.calls = 0

    def set_random_state(
        self, seed: int | None = None, state: np.random.RandomState | None = None
    ) -> ByBatchPosition:
        """Seed both transforms and begin a new batch."""
        super().set_random_state(seed=seed, state=state)
        self.calls = 0
        for transform in (self.first, self.last):
            if isinstance(transform, Randomizable):
                transform.set_random_state(seed=int(self.R.randint(2**32, dtype="uint32")))
        return self

    def __call__(self, data: Mapping[Hashable, Any]) -> Any:
        """Apply the transform for this place in the batch."""
        place = self.calls % self.batch_size
        self.calls += 1
        return (self.first if place < self.first_count else self.last)(data)
