"""Measure ours against the direct published path: ``python -m benchmarks --help``."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import shlex
import sys
import time
from pathlib import Path

import torch

from benchmarks import bundles, ops
from benchmarks.measure import Row, measure
from benchmarks.report import environment, save, table

KINDS = {"op": ops, "bundle": bundles}


def available(kind: str) -> list[str]:
    """Names of the benchmarks of one kind: the files of its folder."""
    return sorted(module.name for module in pkgutil.iter_modules(KINDS[kind].__path__))


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line; without ``--op`` and ``--bundle`` everything is chosen."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    for kind in KINDS:
        parser.add_argument(
            f"--{kind}",
            action="append",
            default=[],
            choices=available(kind),
            help="only this one; repeatable",
        )
    parser.add_argument("--quick", action="store_true", help="small sizes and few repeats: does it run?")
    parser.add_argument("--save", type=Path, metavar="FILE.json", help="also write the figures as JSON")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.add_argument(
        "--busy",
        action="store_true",
        help="CPU with other work on it: one thread, processor time not wall time",
    )
    chosen = parser.parse_args(arguments)
    if not (chosen.op or chosen.bundle):
        chosen.op, chosen.bundle = available("op"), available("bundle")
    return chosen


def main(arguments: list[str] | None = None) -> None:
    """Run what the command line asks for, print its table, save it."""
    options = parse(arguments)
    rows: list[Row] = []
    clock = time.perf_counter
    if options.busy:  # threads that wait for one another would count the other work's time
        torch.set_num_threads(1)
        clock = time.process_time
    for kind, package in KINDS.items():
        for name in getattr(options, kind):
            module = importlib.import_module(f"{package.__name__}.{name}")
            for case in module.cases(quick=options.quick, device=options.device):
                seconds = 0.2 if options.quick else 3
                row = measure(name, case, device=options.device, seconds=seconds, clock=clock)
                rows.append(row)
                print(f"{name}: {case.what}, {case.size}", file=sys.stderr)
    command = shlex.join(["python", "-m", "benchmarks", *(sys.argv[1:] if arguments is None else arguments)])
    print(f"{command}\n{environment(options.device)}\n{table(rows)}")
    if options.save:
        save(options.save, rows, device=options.device, command=command)


if __name__ == "__main__":
    main()
