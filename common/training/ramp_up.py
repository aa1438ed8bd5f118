"""Ramp-up: the weight of a loss that an untrained network should not follow yet."""

from __future__ import annotations

import math

__all__ = ["SigmoidRampUp"]


class SigmoidRampUp:
    """w(t) = largest * exp(-5 (1 - min(e, length) / length)^2) with e = t // every.

    Source: Laine and Aila, temporal ensembling, ICLR 2017; the step of 150 iterations is UA-MT's
    (mcnet_plus/docs/method.md#ramp-up).

    Args:
        largest: weight at the end.
        length: steps until then; 0 for no ramp.
        every: iterations that one step lasts.
    """

    def __init__(self, largest: float = 1.0, *, length: int = 40, every: int = 150) -> None:
        self.largest, self.length, self.every = largest, length, every

    def __call__(self, iteration: int) -> float:
        """The weight at an iteration; UA-MT counts from 1, so the first step is one iteration shorter."""
        if self.length <= 0:
            return self.largest
        step = min(iteration // self.every, self.length)
        return self.largest * math.exp(-5 * (1 - step / self.length) ** 2)
