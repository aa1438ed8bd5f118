"""A benchmark that is a command of its own: its options, its clock, and what it prints first."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

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
    """

    quick: bool
    repeats: int
    busy: bool
    save: Path | None
    facts: dict[str, Any]

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
        if options.busy:
            torch.set_num_threads(1)
        facts = environment("cpu")
        print(shlex.join(["python", "-m", module, *(arguments or sys.argv[1:])]))
        print(json.dumps(facts))
        return cls(facts=facts, **vars(options))

    @property
    def clock(self) -> Callable[[], float]:
        """Seconds, as this run counts them."""
        return time.process_time if self.busy else time.perf_counter

    def write(self, rows: list[dict[str, Any]]) -> None:
        """Save the figures if that was asked for."""
        if self.save:
            write_json(self.save, {"environment": self.facts, "busy": self.busy, "rows": rows})
