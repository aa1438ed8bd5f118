"""Measure ours against the eager and the compiled reference: ``python -m benchmarks --help``."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from benchmarks.speed import bundles, ops
from benchmarks.speed.measure import (
    Clock,
    Row,
    clock_of,
    command_line,
    copy_bandwidth,
    environment_variable,
    measure,
)
from benchmarks.speed.report import document, environment, save, table
from common.commands import Switch
from common.files import write_text

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
    parser.add_argument("--quick", action=Switch, help="small sizes and few repeats: does it run?")
    parser.add_argument(
        "--save",
        type=Path,
        metavar="FILE.json",
        default=Path("benchmarks.json"),
        help="where to write the figures, versions and hardware; benchmarks.json by default",
    )
    parser.add_argument("--markdown", type=Path, metavar="FILE.md", help="also write the tables as a page")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.add_argument(
        "--compile",
        choices=("auto", "all", "smallest", "none"),
        default="auto",
        help="which compiled references to measure: at every size, at the smallest of each comparison, or "
        "none; auto: all on a GPU; on a CPU the smallest of operators and of bundles asked for by name "
        "(compiling a network takes minutes there), with --quick none",
    )
    parser.add_argument(
        "--busy",
        action=Switch,
        help="CPU with other work on it: one thread, processor time not wall time",
    )
    chosen = parser.parse_args(arguments)
    if torch.device(chosen.device).type == "cuda" and not torch.cuda.is_available():
        parser.error(
            f"--device {chosen.device}: torch sees no GPU here; leave --device out to measure on the CPU"
        )
    chosen.by_name = bool(chosen.op or chosen.bundle)
    if not chosen.by_name:
        chosen.op, chosen.bundle = available("op"), available("bundle")
    return chosen


def main(arguments: list[str] | None = None) -> None:
    """Run what the command line asks for, print its table, save it."""
    options = parse(arguments)
    clock = clock_of(options.busy)
    began = time.perf_counter()
    on_gpu = torch.device(options.device).type == "cuda"
    mebibytes = 16 if options.quick else 1024 if on_gpu else 256
    copied = copy_bandwidth(options.device, mebibytes=mebibytes, clock=clock)
    with _empty_compiler_cache():
        rows = [
            row
            for kind in KINDS
            for name in getattr(options, kind)
            for row in _measured(kind, name, options, copied=copied, clock=clock)
        ]
    command = command_line("benchmarks", arguments)
    facts = {
        "command": command,
        "environment": environment(options.device),
        "seconds": round(time.perf_counter() - began),
        "copy_bytes_per_second": copied,
    }
    print(f"{command}\n{facts['environment']}")
    print(f"{facts['seconds']} s; a copy moves {copied / 1e9:.1f} GB/s, read and written\n{table(rows)}")
    save(options.save, rows, **facts)
    print(f"wrote {options.save}")
    if options.markdown:
        write_text(options.markdown, document(rows, **facts))


def _measured(kind: str, name: str, options: argparse.Namespace, *, copied: float, clock: Clock) -> list[Row]:
    """The rows of one benchmark."""
    rows: list[Row] = []
    module = importlib.import_module(f"{KINDS[kind].__name__}.{name}")
    for case in module.cases(quick=options.quick, device=options.device):
        first = case.what not in {row.what for row in rows}
        row = measure(
            name,
            case,
            kind=kind,
            device=options.device,
            seconds=0.2 if options.quick else 1,
            with_compiled=_compile(options, kind, first_size=first),
            copy_bytes_per_second=copied,
            clock=clock,
        )
        rows.append(row)
        print(f"{name}: {case.what}, {case.size}", file=sys.stderr)
    return rows


@contextmanager
def _empty_compiler_cache() -> Iterator[None]:
    """Compiling takes what it takes a first run, whatever was compiled before."""
    with tempfile.TemporaryDirectory() as folder, environment_variable("TORCHINDUCTOR_CACHE_DIR", folder):
        yield


def _compile(options: argparse.Namespace, kind: str, *, first_size: bool) -> bool:
    wanted = options.compile
    if wanted == "auto":
        if torch.device(options.device).type == "cuda":
            wanted = "all"
        else:
            wanted = "smallest" if not options.quick and (kind == "op" or options.by_name) else "none"
    return wanted == "all" or (wanted == "smallest" and first_size)


if __name__ == "__main__":
    main()
