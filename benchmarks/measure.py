"""Measure two ways of computing the same thing against one another.

The two calls alternate within one run, so that a machine that slows down slows both.  Of the repeats
the table shows the fastest, since other work on the machine only ever adds time; the median is saved too.
"""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.memory import peak_bytes

__all__ = ["Case", "Row", "eager_kernels", "growth_exponent", "measure"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One comparison at one size; a benchmark file has ``cases(*, quick, device)`` that yields them.

    Attributes:
        what: the comparison, the same at all of its sizes ("forward").
        size: the size in words ("12x24x24 + 6x12x12").
        tokens: the size as the number in which time should grow linearly.
        ours: our way, a call without arguments.
        direct: the direct published path.
    """

    what: str
    size: str
    tokens: int
    ours: Callable[[], Any]
    direct: Callable[[], Any]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A measured case; seconds (of the fastest repeat) and bytes (peak, the results included)."""

    benchmark: str
    what: str
    size: str
    tokens: int
    repeats: int
    ours_seconds: float
    direct_seconds: float
    ours_median_seconds: float
    direct_median_seconds: float
    ours_bytes: int
    direct_bytes: int


@contextmanager
def eager_kernels() -> Iterator[None]:
    """Within it, blocks take the eager reference of every kernel."""
    before = os.environ.get("COMMON_KERNELS")
    os.environ["COMMON_KERNELS"] = "eager"
    try:
        yield
    finally:
        if before is None:
            del os.environ["COMMON_KERNELS"]
        else:
            os.environ["COMMON_KERNELS"] = before


def measure(
    name: str,
    case: Case,
    *,
    device: str,
    seconds: float,
    max_repeats: int = 25,
    clock: Callable[[], float] = time.perf_counter,
) -> Row:
    """Time and memory of both ways: at least three repeats of each, more within ``seconds``.

    ``clock`` times the calls on a CPU; on CUDA the device's own events do.
    """
    calls = (case.ours, case.direct)
    for call in calls:
        call()
    times: tuple[list[float], list[float]] = ([], [])
    began = time.perf_counter()
    while len(times[0]) < 3 or (len(times[0]) < max_repeats and time.perf_counter() - began < seconds):
        for call, spent in zip(calls, times, strict=True):
            spent.append(_seconds(call, device, clock))
    ours, direct = times
    ours_bytes, direct_bytes = (peak_bytes(call, device=device, warm_up=False) for call in calls)
    return Row(
        benchmark=name,
        what=case.what,
        size=case.size,
        tokens=case.tokens,
        repeats=len(times[0]),
        ours_seconds=min(ours),
        direct_seconds=min(direct),
        ours_median_seconds=statistics.median(ours),
        direct_median_seconds=statistics.median(direct),
        ours_bytes=ours_bytes,
        direct_bytes=direct_bytes,
    )


def growth_exponent(tokens: Sequence[int], values: Sequence[float]) -> float:
    """Slope of log(value) over log(tokens), by least squares: 1 is linear, 2 quadratic."""
    return statistics.linear_regression([math.log(t) for t in tokens], [math.log(v) for v in values]).slope


def _seconds(call: Callable[[], Any], device: str, clock: Callable[[], float]) -> float:
    if torch.device(device).type == "cuda":
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize(device)
        start.record()
        call()
        stop.record()
        torch.cuda.synchronize(device)
        return start.elapsed_time(stop) / 1000
    began = clock()
    call()
    return clock() - began
