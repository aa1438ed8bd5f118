"""A folder that one process at a time writes to, and who that is.

The system holds the lock, on the file ``.lock`` in the folder, and gives it back when the process ends in
whatever way: a lock never has to be removed by hand.  The file says who holds it.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from common.disk import disk_error
from common.errors import InputError

try:
    import fcntl
except ImportError:  # Windows: folders are not locked there
    fcntl = None

__all__ = ["LOCK_FILE", "hold", "locked"]

LOCK_FILE = ".lock"

logger = logging.getLogger(__name__)

# Folder -> descriptor, and how often this process holds it.  Closing any descriptor of the file would give
# the lock back, so there is one.
_held: dict[Path, list[int]] = {}


def hold(folder: str | Path, what: str) -> Callable[[], None]:
    """Lock a folder until the function that is returned is called, or the process ends.

    A process may lock a folder several times; processes that it forks do not hold the lock.

    Args:
        folder: made if absent.
        what: the work, such as "training", for whoever comes second.

    Raises:
        InputError: another process has locked it; the message says which, where and since when.
    """
    key = Path(folder).resolve()
    if key in _held:
        _held[key][1] += 1
    elif fcntl is not None:
        descriptor = _lock(Path(folder), what)
        if descriptor is not None:
            _held[key] = [descriptor, 1]
    owner, released = os.getpid(), False

    def release() -> None:
        nonlocal released
        if key in _held and not released and os.getpid() == owner:
            released = True
            _release(key)

    return release


@contextmanager
def locked(folder: str | Path, what: str) -> Iterator[None]:
    """Lock a folder while the block runs; see :func:`hold`."""
    release = hold(folder, what)
    try:
        yield
    finally:
        release()


def _lock(folder: Path, what: str) -> int | None:
    """The descriptor of the locked file; None where the file system knows no locks."""
    path = folder / LOCK_FILE
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise disk_error(folder, error, "choose another folder or free this one") from error
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = _read(descriptor)
            os.close(descriptor)
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                logger.warning("%s: cannot be locked (%s); start nothing else there", folder, error.strerror)
                return None
            raise InputError(
                f"{folder}: {holder or 'another process'} is at work there; wait until it has ended, or "
                "choose another folder"
            ) from error
        if _is_still(path, descriptor):
            break
        os.close(descriptor)  # its holder has just removed it
    if earlier := _read(descriptor):
        logger.info("%s: %s left it locked and is gone; going on", folder, earlier)
    _write(descriptor, what)
    return descriptor


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _write(descriptor: int, what: str) -> None:
    facts = {
        "what": what,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": f"{datetime.now():%F %T}",
    }
    with suppress(OSError):  # a full disk: the lock holds without a name
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(facts).encode(), 0)


def _read(descriptor: int) -> str:
    """Who holds the lock, in words; empty if the file does not say."""
    try:
        facts = json.loads(os.pread(descriptor, 4096, 0))
        return f"a {facts['what']} (process {facts['pid']} on {facts['host']}, since {facts['since']})"
    except (ValueError, KeyError, TypeError):
        return ""


def _release(key: Path) -> None:
    held = _held[key]
    held[1] -= 1
    if held[1]:
        return
    del _held[key]
    with suppress(OSError):
        (key / LOCK_FILE).unlink()
    os.close(held[0])
