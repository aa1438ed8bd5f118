"""Files that are whole or absent: written under a temporary name, then renamed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common.errors import InputError

__all__ = ["atomic_folder", "atomic_path", "require_writable", "write_json", "write_text"]


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; rename it to ``path`` when the block succeeds.

    The temporary name keeps the suffixes (writers choose the format by them).  If the block
    raises, the temporary file is removed.

    Raises:
        InputError: the folder cannot be made or written to.
    """
    path = Path(path)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch()
    except OSError as error:
        raise InputError(
            f"{path}: cannot write there ({error.strerror}); choose another folder or free this one"
        ) from error
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Give a new folder beside ``path``; rename it to ``path`` when the block succeeds.

    If the block raises, the new folder is removed.

    Raises:
        InputError: ``path`` is a file or a folder that is not empty, or cannot be made there.
    """
    path = Path(path)
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise InputError(f"{path}: is there already and not empty; choose another folder, or move it away")
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        temporary.mkdir(parents=True)
    except OSError as error:
        raise InputError(
            f"{path}: cannot write there ({error.strerror}); choose another folder or free this one"
        ) from error
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def require_writable(*folders: str | Path) -> None:
    """Make the folders and prove, before a long run, that files can be written there.

    Raises:
        InputError: a folder cannot be made or written to.
    """
    for folder in folders:
        probe = Path(folder) / f".writable_{os.getpid()}"  # each process of a run has its own
        write_text(probe, "")
        probe.unlink(missing_ok=True)
