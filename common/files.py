"""Files that are whole or absent: written under a temporary name, then renamed."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from common.disk import DiskError, disk_error, explained_full_disk
from common.errors import InputError, note_folders
from common.leftovers import remove_leftovers, remove_noted_leftovers, temporary_beside

__all__ = ["atomic_folder", "atomic_path", "require_writable", "write_json", "write_text"]


@contextmanager
def atomic_path(path: str | Path, *, durable: bool = False, kept: str | None = None) -> Iterator[Path]:
    """Give a temporary path beside ``path``; rename it to ``path`` when the block succeeds.

    The temporary name keeps the suffixes (writers choose the format by them).  If the block
    raises, the temporary file is removed; if the process is killed, the next one that writes ``path``
    removes it.

    Args:
        path: the file.
        durable: have it on the disk itself before it replaces an older one, so that it is whole after a
            power cut too.
        kept: what is there if the disk is full; by default, that the file has not been changed.

    Raises:
        InputError: the folder cannot be made or written to.
        DiskError: the disk was full, or the like, during the block.
    """
    path = Path(path)
    temporary = temporary_beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_noted_leftovers(path)
        temporary.touch()
    except OSError as error:
        raise _cannot_begin(path, error) from error
    unchanged = f"{path.name} was not written, nor changed if it was there"
    try:
        with explained_full_disk(path.parent, kept or unchanged):
            yield temporary
            if durable:
                _sync(temporary)
            os.replace(temporary, path)
            if durable:
                _sync(path.parent)
    finally:
        with suppress(OSError):
            temporary.unlink()


def _cannot_begin(path: Path, error: OSError) -> DiskError:
    return disk_error(path, error, "choose another folder or free this one")


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Give a new folder beside ``path``; rename it to ``path`` when the block succeeds.

    If the block raises, the new folder is removed.

    Raises:
        InputError: ``path`` is a file or a folder that is not empty, or cannot be made there.
        DiskError: the disk was full, or the like, during the block.
    """
    path = Path(path)
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise InputError(f"{path}: is there already and not empty; choose another folder, or move it away")
    temporary = temporary_beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path)
        temporary.mkdir()
    except OSError as error:
        raise _cannot_begin(path, error) from error
    try:
        with explained_full_disk(path.parent, f"{path.name} was not made"):
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
    note_folders(folders)
    for folder in folders:
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as probe:  # has no name: leaves nothing if killed
                probe.write(bytes(4096))
        except OSError as error:
            raise _cannot_begin(Path(folder), error) from error
