"""Measure the ways of computing the same thing against one another.

The calls alternate within one run, so that a machine that slows down slows all of them, in an order drawn
anew for each repeat: what ran just before leaves its mark on caches and allocator.  The table shows the
median of the repeats; the fastest is saved too, since other work on the machine only ever adds time.
"""

from __future__ import annotations

import math
import os
import random
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch._dynamo.exc import TorchDynamoException

from benchmarks.speed.memory import peak_bytes

__all__ = [
    "Case",
    "Figures",
    "Row",
    "copy_bandwidth",
    "eager_kernels",
    "environment_variable",
    "growth_exponent",
    "kernels",
    "measure",
]

Clock = Callable[[], float]


def clock_of(busy: bool) -> Clock:
    """Wall time; on a CPU with other work on it one thread, and processor time.

    Threads that wait for one another would count the other work's time.
    """
    if not busy:
        return time.perf_counter
    torch.set_num_threads(1)
    return time.process_time


def command_line(module: str, arguments: Sequence[str] | None) -> str:
    """The command as typed: of this process, unless a caller gave its arguments."""
    return shlex.join(["python", "-m", module, *(sys.argv[1:] if arguments is None else arguments)])


@dataclass(frozen=True, kw_only=True)
class Case:
    """One comparison at one size; a benchmark file has ``cases(*, quick, device)`` that yields them.

    Attributes:
        what: the comparison, the same at all of its sizes ("forward").
        size: the size in words ("12x24x24 + 6x12x12").
        tokens: the size as the number in which time should grow linearly.
        ours: our way, a call without arguments that returns its results: a compiler leaves out the rest.
        direct: the direct published path, or what the comparison names (a network without the method).
        compiled: the eager reference of the same work under ``torch.compile``, where that is not simply
            ``direct`` compiled.
        compilable: false where another case compiles the same.
        bytes_moved: what has to be read and written at the least: all inputs and outputs once.
    """

    what: str
    size: str
    tokens: int
    ours: Callable[[], Any]
    direct: Callable[[], Any]
    compiled: Callable[[], Any] | None = None
    compilable: bool = True
    bytes_moved: int | None = None


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Of one way: seconds (median of the repeats, and the fastest) and peak bytes, the results included."""

    seconds: float
    fastest_seconds: float
    peak_bytes: int


@dataclass(frozen=True, kw_only=True)
class Row:
    """A measured case.

    Attributes:
        compile_seconds: of the compiled way's first two calls.
        compile_error: what PyTorch's compiler said, where it failed.
    """

    kind: str
    benchmark: str
    what: str
    size: str
    tokens: int
    repeats: int
    ours: Figures
    direct: Figures
    compiled: Figures | None = None
    compile_seconds: float | None = None
    compile_error: str | None = None
    bytes_moved: int | None = None
    copy_bytes_per_second: float | None = field(default=None)

    @property
    def bytes_per_second(self) -> float | None:
        """Of our way, of the bytes that have to be moved at the least."""
        return None if self.bytes_moved is None else self.bytes_moved / self.ours.seconds

    @property
    def beats_compiled(self) -> bool | None:
        """Whether our way is faster than the compiled reference; nothing where that was not measured."""
        return None if self.compiled is None else self.ours.seconds < self.compiled.seconds

    @property
    def calls_to_repay(self) -> float | None:
        """Calls after which the compiled reference, where it is faster, has made up for its compilation."""
        if self.compiled is None or self.beats_compiled:
            return None
        return self.compile_seconds / (self.ours.seconds - self.compiled.seconds)


@contextmanager
def kernels(choice: str) -> Iterator[None]:
    """Within it, COMMON_KERNELS is ``choice`` (see common/kernels/selection.py)."""
    with environment_variable("COMMON_KERNELS", choice):
        yield


@contextmanager
def environment_variable(name: str, value: str) -> Iterator[None]:
    """Within it, the variable has this value."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def eager_kernels():
    """Within it, blocks take the eager reference of every kernel."""
    return kernels("eager")


def measure(
    name: str,
    case: Case,
    *,
    device: str,
    seconds: float,
    kind: str = "op",
    with_compiled: bool = False,
    copy_bytes_per_second: float | None = None,
    max_repeats: int = 25,
    clock: Clock = time.perf_counter,
) -> Row:
    """Time and memory of all ways: at least three repeats of each, more within ``seconds``.

    ``clock`` times the calls on a CPU; on CUDA the device's own events do.
    """
    calls = {"ours": case.ours, "direct": case.direct}
    if with_compiled and case.compilable:
        torch.compiler.reset()  # each size compiles anew: many of one function would end in eager
        calls["compiled"] = case.compiled or torch.compile(case.direct, dynamic=False)
    compile_seconds = compile_error = None
    for way, call in list(calls.items()):
        began = time.perf_counter()
        try:
            result = call()
            if way == "compiled":
                call()  # may compile once more, for what the first call changed
                compile_seconds = time.perf_counter() - began
        except TorchDynamoException as error:
            if way != "compiled":
                raise
            compile_error = f"{type(error).__name__}: {error}".strip().splitlines()[0]
            del calls[way]
            continue
        if result is None:
            raise TypeError(f"{name}, {case.what}: {way} returns nothing, so a compiler would leave it out")
    times: dict[str, list[float]] = {way: [] for way in calls}
    began = time.perf_counter()
    repeats, order = 0, random.Random(0)
    while repeats < 3 or (repeats < max_repeats and time.perf_counter() - began < seconds):
        for way in order.sample(list(calls), len(calls)):
            times[way].append(_seconds(calls[way], device, clock))
        repeats += 1
    figures = {
        way: Figures(
            seconds=statistics.median(times[way]),
            fastest_seconds=min(times[way]),
            peak_bytes=peak_bytes(call, device=device, warm_up=False),
        )
        for way, call in calls.items()
    }
    return Row(
        kind=kind,
        benchmark=name,
        what=case.what,
        size=case.size,
        tokens=case.tokens,
        repeats=repeats,
        compile_seconds=compile_seconds,
        compile_error=compile_error,
        bytes_moved=case.bytes_moved,
        copy_bytes_per_second=copy_bytes_per_second,
        **figures,
    )


def copy_bandwidth(device: str, *, mebibytes: int, clock: Clock = time.perf_counter) -> float:
    """Bytes a second, read and written, of a copy that is too large for any cache; median of nine."""
    source = torch.ones(mebibytes * 2**20 // 4, device=device)
    target = torch.empty_like(source)
    target.copy_(source)
    spent = [_seconds(lambda: target.copy_(source), device, clock) for _ in range(9)]
    return 2 * source.nbytes / statistics.median(spent)


def growth_exponent(tokens: Sequence[int], values: Sequence[float]) -> float:
    """Slope of log(value) over log(tokens), by least squares: 1 is linear, 2 quadratic."""
    return statistics.linear_regression([math.log(t) for t in tokens], [math.log(v) for v in values]).slope


def _seconds(call: Callable[[], Any], device: str, clock: Clock) -> float:
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
