"""What killed runs leave behind: files and folders called ``.PID.NAME``, meant to become ``NAME``."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

__all__ = ["remove_leftovers", "temporary_beside"]


def temporary_beside(path: Path) -> Path:
    """Where this process prepares ``path``."""
    return path.with_name(f".{os.getpid()}.{path.name}")


def remove_leftovers(path: Path) -> None:
    """Remove what dead processes have prepared for ``path``.

    Raises:
        OSError: something cannot be removed.
    """
    name = re.compile(rf"\.(\d{{1,9}})\.{re.escape(path.name)}")
    for found in list(path.parent.iterdir()) if path.parent.is_dir() else []:
        match = name.fullmatch(found.name)
        if match is None or _runs(int(match.group(1))):
            continue
        if found.is_dir() and not found.is_symlink():
            shutil.rmtree(found)
        else:
            found.unlink(missing_ok=True)


def _runs(pid: int) -> bool:
    """Whether another process has this PID; a file with our own was left by an earlier process."""
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True
