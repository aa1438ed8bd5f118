"""What was computed from files, on disk, valid while path, size and date of the files stay the same.

One small JSON file per entry in the user's cache folder, named by a hash of the paths, so that a changed file
replaces its own entry.  A cache that cannot be read or written, or was changed, is ignored; nothing depends
on it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common.errors import InputError
from common.files import write_text

__all__ = ["FileCache", "stamp"]


def stamp(files: Sequence[str | Path]) -> list[list[int]] | None:
    """Size in bytes and date in ns of every file; None if one of them cannot be accessed."""
    try:
        found = [os.stat(file) for file in files]
    except OSError:
        return None
    return [[one.st_size, one.st_mtime_ns] for one in found]


class FileCache:
    """Entries of one kind.

    Args:
        kind: the name of their folder.
        version: changes when the meaning of what is stored does; entries of another version are ignored.
    """

    def __init__(self, kind: str, version: Any) -> None:
        self.kind, self.version = kind, version

    def load(self, name: Any, files: Sequence[str | Path]) -> Any | None:
        """What :meth:`save` stored under a name for files that have not changed since, else None.

        Args:
            name: plain JSON, the paths among it.
            files: all that the value was computed from.
        """
        try:
            entry = json.loads(self._path(name).read_text(encoding="utf-8"))
            current = stamp(files)
            if current is None or entry["version"] != self.version or entry["stamp"] != current:
                return None
            return entry["facts"] if entry["digest"] == _digest(entry["facts"]) else None
        except (OSError, RuntimeError, ValueError, KeyError, TypeError):
            return None

    def save(self, name: Any, stamped: list[list[int]], value: Any) -> None:
        """Store plain JSON computed from files that had this stamp before they were read, if possible."""
        try:
            entry = {"version": self.version, "stamp": stamped, "digest": _digest(value), "facts": value}
            write_text(self._path(name), json.dumps(entry))
        except (OSError, RuntimeError, InputError):
            return

    def _path(self, name: Any) -> Path:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        digest = hashlib.sha256(json.dumps(name).encode()).hexdigest()[:32]
        return Path(base) / "method_zoo" / self.kind / f"{digest}.json"


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
