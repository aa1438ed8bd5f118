"""Facts of a case on disk, valid while path, size and date of its files stay the same.

One small JSON file per case, named by a hash of the paths, so that a changed case replaces its own
entry.  A cache that cannot be read or written, or was changed, is ignored; nothing depends on it.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from common.errors import InputError
from common.files import write_text

__all__ = ["load_cached", "save_cached", "stamp"]

_VERSION = 3  # raise it when the meaning of what is stored changes


def stamp(image: tuple[str, ...], label: tuple[str, ...]) -> list[list[int]] | None:
    """Size in bytes and date in ns of every file; None if one of them cannot be accessed."""
    try:
        found = [os.stat(file) for file in (*image, *label)]
    except OSError:
        return None
    return [[one.st_size, one.st_mtime_ns] for one in found]


def load_cached(image: tuple[str, ...], label: tuple[str, ...]) -> dict[str, Any] | None:
    """What :func:`save_cached` stored for the same unchanged files, lists as tuples; else None."""
    try:
        entry = json.loads(_path(image, label).read_text(encoding="utf-8"))
        current = stamp(image, label)
        if current is None or entry["version"] != _VERSION or entry["stamp"] != current:
            return None
        if entry["digest"] != _digest(entry["facts"]):
            return None
        return _with_tuples(entry["facts"])
    except (OSError, RuntimeError, ValueError, KeyError, TypeError):
        return None


def save_cached(
    image: tuple[str, ...], label: tuple[str, ...], files: list[list[int]], facts: dict[str, Any]
) -> None:
    """Store facts of files that had the stamp ``files`` before they were read, if possible."""
    try:
        entry = {"version": _VERSION, "stamp": files, "digest": _digest(facts), "facts": facts}
        write_text(_path(image, label), json.dumps(entry))
    except (OSError, RuntimeError, InputError):
        return


def _digest(facts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _path(image: tuple[str, ...], label: tuple[str, ...]) -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    name = hashlib.sha256(json.dumps([image, label]).encode()).hexdigest()[:32]
    return Path(base) / "method_zoo" / "facts" / f"{name}.json"


def _with_tuples(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_with_tuples(item) for item in value)
    if isinstance(value, dict):
        return {key: _with_tuples(item) for key, item in value.items()}
    return value
