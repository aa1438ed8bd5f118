"""Tables of what was measured, for the terminal and as JSON."""

from __future__ import annotations

import dataclasses
import datetime
import importlib.metadata
import json
import platform
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

from benchmarks.speed.measure import Figures, Row, growth_exponent
from common.files import write_json

__all__ = ["document", "environment", "save", "table"]

_HEADER = (
    "| what | size | tokens | eager | compiled | ours | ratio | of compiled "
    "| peak eager | ours | ratio | GB/s | of copy |\n"
    "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
)


def environment(device: str) -> dict[str, Any]:
    """Date, hardware and versions that the figures belong to."""
    return {
        "date": datetime.date.today().isoformat(),
        **(_gpu(device) if torch.device(device).type == "cuda" else {"device": _cpu_name()}),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "triton": _version("triton"),
        "monai": _version("monai"),
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def _gpu(device: str) -> dict[str, Any]:
    properties = torch.cuda.get_device_properties(device)
    return {
        "device": properties.name,
        "compute_capability": f"{properties.major}.{properties.minor}",
        "device_memory_bytes": properties.total_memory,
        "multiprocessors": properties.multi_processor_count,
        "cuda": torch.version.cuda,
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def table(rows: list[Row]) -> str:
    """Markdown: a table for each benchmark, a ratio below 1 being in our favour, its verdict and growth."""
    parts = []
    for name, of_benchmark in groupby(rows, key=lambda row: row.benchmark):
        parts.append(f"\n### {name}\n\n{_HEADER}")
        of_benchmark = list(of_benchmark)
        parts += [_line(row) for row in of_benchmark]
        parts.append("")
        parts += [f"- {verdict}" for verdict in _verdicts(of_benchmark)]
        parts += [
            f"- Growth, {g['what']}: time ~ tokens^{g['time_ours']:.2f} (eager {g['time_direct']:.2f}), "
            f"peak ~ tokens^{g['peak_ours']:.2f} (eager {g['peak_direct']:.2f})"
            for g in _growth(of_benchmark)
        ]
    return "\n".join(parts)


def document(rows: list[Row], **facts: Any) -> str:
    """A page of Markdown: the command, where and with what it ran, and every table.

    Args:
        rows: what was measured.
        facts: as for :func:`save`.
    """
    where = ", ".join(f"{key} {value}" for key, value in facts["environment"].items() if value is not None)
    copied = facts["copy_bytes_per_second"] / 1e9
    return (
        f"# Figures\n\n    {facts['command']}\n\n"
        f"{where}.\n\n{facts['seconds']} s in all; a copy moves {copied:.1f} GB/s, read and written. "
        "[How to read it](README.md#how-to-read-it).\n"
        f"{table(rows).replace(chr(10) + '### ', chr(10) + '## ')}\n"
    )


def save(path: Path, rows: list[Row], **facts: Any) -> None:
    """Write everything as JSON: the given facts (command, environment, ...), rows, verdicts, growth."""
    content = {
        **facts,
        "rows": [dataclasses.asdict(row) | {"beats_compiled": row.beats_compiled} for row in rows],
        "verdicts": [
            v for _, part in groupby(rows, key=lambda r: r.benchmark) for v in _verdicts(list(part))
        ],
        "growth": _growth(rows),
    }
    json.dumps(content)  # a figure that is no JSON is found before the file is touched
    write_json(path, content)


def _comparisons(rows: list[Row]) -> list[tuple[str, str, list[Row]]]:
    """Rows of each comparison, over its sizes: (benchmark, what, rows)."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row.benchmark, row.what), []).append(row)
    return [(*key, of_key) for key, of_key in found.items()]


def _verdicts(rows: list[Row]) -> list[str]:
    """For each comparison whether ours beats the compiled reference, as a sentence."""
    said = []
    for benchmark, what, sizes in _comparisons(rows):
        known = [row for row in sizes if row.compiled is not None]
        failed = [row for row in sizes if row.compile_error is not None]
        for row in failed:
            said.append(
                f"Verdict, {benchmark}, {what}, {row.size}: PyTorch's compiler failed ({row.compile_error})."
            )
        if not known and not failed:
            said.append(f"Verdict, {benchmark}, {what}: the compiled reference was not measured.")
        if not known:
            continue
        factors = [row.compiled.seconds / row.ours.seconds for row in known]
        won = sum(row.beats_compiled is True for row in known)
        answer = "yes" if won == len(known) else "no" if won == 0 else f"at {won} of {len(known)} sizes"
        times = " to ".join(f"{f:.2f}" for f in sorted({min(factors), max(factors)}))
        said.append(
            f"Verdict, {benchmark}, {what}: faster than the compiled reference? {answer} "
            f"({times} times as fast{_price_of_compiling(known)})"
        )
    return said


def _price_of_compiling(rows: list[Row]) -> str:
    seconds = max(row.compile_seconds for row in rows)
    calls = [row.calls_to_repay for row in rows if row.calls_to_repay is not None]
    repaid = f", repaid after {min(calls):.0f} calls or more" if calls else ""
    return f"; compiling took {seconds:.1f} s{repaid}"


def _growth(rows: list[Row]) -> list[dict[str, Any]]:
    """Exponents of each comparison that was measured at two sizes or more."""
    found = []
    for benchmark, what, sizes in _comparisons(rows):
        tokens = [row.tokens for row in sizes]
        if len(set(tokens)) < 2:
            continue
        exponents = {}
        for way in ("ours", "direct"):
            figures: list[Figures] = [getattr(row, way) for row in sizes]
            exponents[f"time_{way}"] = growth_exponent(tokens, [f.seconds for f in figures])
            exponents[f"peak_{way}"] = growth_exponent(tokens, [max(f.peak_bytes, 1) for f in figures])
        found.append({"benchmark": benchmark, "what": what, **exponents})
    return found


def _line(row: Row) -> str:
    compiled = row.compiled
    cells = [
        row.what,
        row.size,
        str(row.tokens),
        _milliseconds(row.direct),
        "" if compiled is None else _milliseconds(compiled),
        _milliseconds(row.ours),
        f"{row.ours.seconds / row.direct.seconds:.2f}",
        "" if compiled is None else f"{row.ours.seconds / compiled.seconds:.2f}",
        f"{row.direct.peak_bytes / 2**20:.1f} MB",
        f"{row.ours.peak_bytes / 2**20:.1f} MB",
        f"{row.ours.peak_bytes / max(row.direct.peak_bytes, 1):.2f}",
        *_bandwidth(row),
    ]
    return "| " + " | ".join(cells) + " |"


def _bandwidth(row: Row) -> tuple[str, str]:
    if row.bytes_per_second is None:
        return "", ""
    share = row.bytes_per_second / row.copy_bytes_per_second if row.copy_bytes_per_second else None
    return f"{row.bytes_per_second / 1e9:.2f}", "" if share is None else f"{share:.0%}"


def _milliseconds(figures: Figures) -> str:
    return f"{figures.seconds * 1e3:.3g} ms" if figures.seconds < 0.1 else f"{figures.seconds * 1e3:.0f} ms"


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
