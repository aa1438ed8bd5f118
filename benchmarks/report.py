"""Tables of what was measured, for the terminal and as JSON."""

from __future__ import annotations

import dataclasses
import datetime
import json
import platform
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

from benchmarks.measure import Row, growth_exponent

__all__ = ["environment", "save", "table"]

_HEADER = (
    "| what | size | tokens | time ours | direct | ratio | peak ours | direct | ratio |\n"
    "|---|---|---:|---:|---:|---:|---:|---:|---:|"
)


def environment(device: str) -> dict[str, Any]:
    """Date, hardware and versions that the figures belong to."""
    on_gpu = torch.device(device).type == "cuda"
    return {
        "date": datetime.date.today().isoformat(),
        "device": torch.cuda.get_device_name(device) if on_gpu else _cpu_name(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def table(rows: list[Row]) -> str:
    """Markdown: a table for each benchmark, a ratio below 1 being in our favour, and its growth."""
    parts = []
    for name, of_benchmark in groupby(rows, key=lambda row: row.benchmark):
        parts.append(f"\n### {name}\n\n{_HEADER}")
        of_benchmark = list(of_benchmark)
        parts += [_line(row) for row in of_benchmark]
        parts.append("")
        parts += [
            f"Growth, {g['what']}: time ~ tokens^{g['time_ours']:.2f} (direct {g['time_direct']:.2f}), "
            f"peak ~ tokens^{g['peak_ours']:.2f} (direct {g['peak_direct']:.2f})"
            for g in _growth(of_benchmark)
        ]
    return "\n".join(parts)


def save(path: Path, rows: list[Row], *, device: str, command: str) -> None:
    """Write everything as JSON: command, environment, rows, growth exponents."""
    content = {
        "command": command,
        "environment": environment(device),
        "rows": [dataclasses.asdict(row) for row in rows],
        "growth": _growth(rows),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")


def _growth(rows: list[Row]) -> list[dict[str, Any]]:
    """Exponents of each comparison that was measured at two sizes or more."""
    found = []
    for (name, what), sizes in groupby(
        sorted(rows, key=lambda r: (r.benchmark, r.what)), key=lambda r: (r.benchmark, r.what)
    ):
        sizes = list(sizes)
        tokens = [row.tokens for row in sizes]
        if len(set(tokens)) < 2:
            continue
        columns = {"time": "seconds", "peak": "bytes"}
        exponents = {
            f"{label}_{way}": growth_exponent(tokens, [getattr(row, f"{way}_{unit}") for row in sizes])
            for label, unit in columns.items()
            for way in ("ours", "direct")
        }
        found.append({"benchmark": name, "what": what, **exponents})
    return found


def _line(row: Row) -> str:
    return (
        f"| {row.what} | {row.size} | {row.tokens} "
        f"| {row.ours_seconds * 1e3:.1f} ms | {row.direct_seconds * 1e3:.1f} ms "
        f"| {row.ours_seconds / row.direct_seconds:.2f} "
        f"| {row.ours_bytes / 2**20:.0f} MB | {row.direct_bytes / 2**20:.0f} MB "
        f"| {row.ours_bytes / row.direct_bytes:.2f} |"
    )


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
