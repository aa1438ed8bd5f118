"""Full disks and read-only folders, reported in one line instead of a traceback."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.errors import InputError

__all__ = ["explained_disk_errors"]

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def explained_disk_errors(folder: str | Path, kept: str) -> Iterator[None]:
    """Name the folder that could not be written, and say what is there now.

    Args:
        folder: the one that the block writes to.
        kept: a clause such as "nothing was written".

    Raises:
        InputError: in place of an ``OSError``.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        fault = f"the disk is full ({reason})" if error.errno in _FULL else f"cannot write there ({reason})"
        raise InputError(f"{folder}: {fault}; {kept}") from error
