"""What killed runs leave behind: files and folders called ``.PID.NAME``, meant to become ``NAME``."""

from __future__ import annotations

import os
import re
import shutil
from collections import defaultdict
from pathlib import Path

__all__ = ["process_runs", "remove_leftovers", "remove_noted_leftovers", "temporary_beside"]

_LONGEST = 200  # of the part that stems from the name; file systems end at 255 bytes
_TEMPORARY = re.compile(r"\.(\d{1,9})\.(.+)")


def temporary_beside(path: Path) -> Path:
    """Where this process prepares ``path``; the suffixes are kept."""
    return path.with_name(f".{os.getpid()}.{_shortened(path.name)}")


def _shortened(name: str) -> str:
    return os.fsencode(name)[-_LONGEST:].decode(errors="ignore")


def remove_leftovers(path: Path) -> None:
    """Remove what dead processes have prepared for ``path``.

    Raises:
        OSError: something cannot be removed.
    """
    _remove_all(_leftovers_in(path.parent).get(_shortened(path.name), []))


# Folder -> name -> leftovers: each folder is listed once, since a run may write thousands of files to it.
_noted: dict[Path, dict[str, list[Path]]] = {}


def remove_noted_leftovers(path: Path) -> None:
    """Like :func:`remove_leftovers`, of processes that died before this one first wrote to the folder.

    Raises:
        OSError: something cannot be removed.
    """
    folder = path.parent.absolute()
    if folder not in _noted:
        _noted[folder] = _leftovers_in(folder)
    _remove_all(_noted[folder].pop(_shortened(path.name), []))


def _leftovers_in(folder: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = defaultdict(list)
    for path in folder.iterdir() if folder.is_dir() else []:
        match = _TEMPORARY.fullmatch(path.name)
        # A file with our own number was left by an earlier process.
        if match and (int(match[1]) == os.getpid() or not process_runs(int(match[1]))):
            found[match[2]].append(path)
    return found


def _remove_all(paths: list[Path]) -> None:
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def process_runs(pid: int) -> bool:
    """Whether a process of this machine has this number."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True
