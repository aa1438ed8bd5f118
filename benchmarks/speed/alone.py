"""A benchmark that is a command of its own: its options, its clock, and what it prints first."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.speed.measure import Clock, clock_of, command_line
from benchmarks.speed.report import environment
from common.commands import Switch
from common.files import write_json

__all__ = ["Setting"]


@dataclass(frozen=True)
class Setting:
    """How a benchmark was asked to measure.

    Attributes:
        quick: a small input.
        repeats: of every way.
        busy: one thread, and processor time instead of wall time.
        save: also write the figures here, as JSON.
        facts: of the machine.
        clock: seconds, as this run counts them.
    """

    quick: bool
    repeats: int
    busy: bool
    save: Path | None
    facts: dict[str, Any]
    clock: Clock

    @classmethod
    def of_command(cls, module: str, description: str | None, arguments: list[str] | None) -> Setting:
        """Read the command line, and print it with the machine's facts.

        Args:
            module: as in ``python -m MODULE``.
            description: for the help.
            arguments: instead of those of the process.
        """
        parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
        parser.add_argument("--quick", action=Switch, help="a small volume")
        parser.add_argument("--repeats", type=int, default=3)
        parser.add_argument("--busy", action=Switch, help="one thread, processor time instead of wall time")
        parser.add_argument("--save", type=Path, metavar="FILE.json", help="also write the figures as JSON")
        options = parser.parse_args(arguments)
        if options.repeats < 1:
            parser.error(f"--repeats {options.repeats}; expected at least 1")
        facts = environment("cpu")
        print(command_line(module, arguments))
        print(json.dumps(facts))
        return cls(facts=facts, clock=clock_of(options.busy), **vars(options))

    def medians(self, calls: Mapping[str, Callable[[], Any]]) -> dict[str, float]:
        """Median seconds of every way; the ways alternate, so that a slow machine slows all of them."""
        seconds: dict[str, list[float]] = {way: [] for way in calls}
        for _ in range(self.repeats):
            for way, call in calls.items():
                began = self.clock()
                call()
                seconds[way].append(self.clock() - began)
        return {way: statistics.median(spent) for way, spent in seconds.items()}

    def write(self, rows: list[dict[str, Any]]) -> None:
        """Save the figures if that was asked for."""
        if self.save:
            write_json(self.save, {"environment": self.facts, "busy": self.busy, "rows": rows})
