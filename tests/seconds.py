"""CPU seconds of the tests: how they are counted, their limit, and the table at the end of a run.

They are the seconds of the test's own process and of every command that it starts, not wall time, so that
load on the machine changes them little.
"""

from __future__ import annotations

import resource
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.contract.warm import WarmPython

#: CPU seconds of one bundle's always-run tests: the maximum, and the mean allowed.
LIMIT, MEAN = 40.0, 32.0
#: The same tests took up to 1.6 times as long in a run of everything as in one of their bundle alone, on one
#: machine: two processes share its caches. The limit holds as it is for a bundle alone, times this elsewhere.
AMONG_OTHERS = 1.75
#: CPU seconds of :func:`benchmark` on the machine that the limit was set on.
REFERENCE = 0.29
#: The number of bundles in the projection.
BUNDLES, CORES = 50, 2


def used() -> float:
    """CPU seconds so far of this process, of those it started that have ended, and of warm commands."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime + WarmPython.command_seconds


def used_with_warm_start() -> float:
    """The same plus the warm Python's imports, which belong to no test."""
    return used() + WarmPython.start_seconds


_of_all: list[float] = []


@contextmanager
def of_all_tests() -> Iterator[None]:
    """Marks what is made once for all of a bundle's tests: its seconds are not charged to the first test."""
    start = used()
    yield
    _of_all.append(used() - start)


def take_of_all_tests() -> float:
    """The seconds of what was made like that since the last call."""
    taken = sum(_of_all)
    _of_all.clear()
    return taken


def benchmark() -> float:
    """CPU seconds of a fixed computation, best of three: PyTorch work and Python work."""
    import torch

    def once() -> float:
        start = time.process_time()
        image, kernel = torch.ones(1, 16, 32, 32, 32), torch.ones(16, 16, 3, 3, 3)
        for _ in range(4):
            torch.nn.functional.conv3d(image, kernel, padding=1)
        sum(i * i for i in range(2_000_000))
        return time.process_time() - start

    return min(once() for _ in range(3))


@dataclass
class Seconds:
    """CPU seconds by bundle and set ("always", "full"); ``total`` is that of the whole run."""

    spent: dict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    total: float = 0.0
    tests: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, which: str, seconds: float) -> None:
        self.spent[name, which] += seconds

    def of(self, which: str) -> dict[str, float]:
        """Bundle -> seconds in one set."""
        return {name: seconds for (name, one), seconds in sorted(self.spent.items()) if one == which}

    @property
    def rest(self) -> float:
        """Seconds of tests that belong to no bundle, and of whatever belongs to no test, such as imports."""
        return max(self.total - sum(self.spent.values()), 0.0)

    def beyond(self, factor: float, *, alone: bool) -> dict[str, float]:
        """Bundles whose always-run tests take too long.

        Args:
            factor: how many times slower than the reference this machine is.
            alone: whether the tests of one bundle ran and no others.
        """
        limit = LIMIT * factor * (1 if alone else AMONG_OTHERS)
        return {name: seconds for name, seconds in self.of("always").items() if seconds > limit}

    def costly(self, number: int) -> list[str]:
        """The most expensive tests, without the fixtures that all share."""
        dearest = sorted(self.tests.items(), key=lambda one: -one[1])[:number]
        return [f"{seconds:8.1f}  {name}" for name, seconds in dearest]

    def lines(self, factor: float, *, whole: bool = True) -> list[str]:
        """The table.

        Args:
            factor: how many times slower than the reference this machine is.
            whole: whether the whole suite was asked for, so that its time for more bundles can be told.
        """
        always, full = self.of("always"), self.of("full")
        width = max(map(len, [*always, *full, "no bundle's own"]))
        lines = [f"{'':{width}}  always    full"]
        for name in sorted({*always, *full}):
            ran = f"{full[name]:8.1f}" if name in full else f"{'-':>8}"
            lines.append(f"{name:{width}}{always.get(name, 0.0):8.1f}{ran}")
        lines.append(f"{'no bundle' + chr(39) + 's own':{width}}{self.rest:8.1f}")
        if not always:
            return lines
        mean = sum(always.values()) / len(always)
        slow = f", here times {factor:.2f}" if factor > 1 else ""
        lines.append(f"{'mean':{width}}{mean:8.1f}   (aim: {MEAN:g}, limit of each: {LIMIT:g}{slow})")
        if whole:
            minutes = (mean * BUNDLES + self.rest) / CORES / 60
            lines.append(f"{BUNDLES} bundles on {CORES} cores, none of them changed: {minutes:.0f} minutes")
        return lines


def slowness() -> float:
    """How many times slower than the reference this machine is; 1 if it is faster."""
    return max(benchmark() / REFERENCE, 1.0)
