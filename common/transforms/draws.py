"""Distributions that random transforms draw from."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["around_one"]


def around_one(uniform: Callable[[float, float], float], low: float, high: float) -> float:
    """A factor or an exponent: half of the time uniform in [low, 1], else uniform in [1, high].

    From a range on one side of 1 the draw is uniform.  Source: batchgenerators draws scales, contrasts and
    gammas this way.

    Args:
        uniform: draws from [a, b), as ``numpy.random.RandomState.uniform`` does.
        low: smallest value.
        high: largest value.
    """
    if uniform(0.0, 1.0) < 0.5 and low < 1:
        return uniform(low, min(1.0, high))
    return uniform(max(1.0, low), high) if high > 1 else uniform(low, high)
