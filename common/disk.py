"""Full disks and read-only folders, reported in one line instead of a traceback."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.errors import InputError

__all__ = ["DiskError", "disk_error", "explained_disk_errors", "explained_full_disk"]

_FULL = (errno.ENOSPC, errno.EDQUOT)
_CANNOT_GROW = (*_FULL, errno.EFBIG, errno.EROFS, errno.EIO)


class DiskError(InputError):
    """A folder that could not be written; the message says what is there now."""


def disk_error(folder: str | Path, error: OSError, kept: str) -> DiskError:
    """The one line for an error of the system.

    Args:
        folder: the one that could not be written.
        error: what the system said.
        kept: a clause such as "nothing was written".
    """
    reason = error.strerror or str(error)
    fault = f"the disk is full ({reason})" if error.errno in _FULL else f"cannot write there ({reason})"
    return DiskError(f"{folder}: {fault}; {kept}")


@contextmanager
def explained_disk_errors(folder: str | Path, kept: str) -> Iterator[None]:
    """Name the folder that could not be written, and say what is there now.

    Args:
        folder: the one that the block writes to.
        kept: a clause such as "nothing was written".

    Raises:
        DiskError: in place of an ``OSError``, or of one for a file within the folder.
    """
    try:
        yield
    except OSError as error:
        raise disk_error(folder, error, kept) from error
    except DiskError as error:
        if not isinstance(error.__cause__, OSError):
            raise
        raise disk_error(folder, error.__cause__, kept) from error.__cause__


@contextmanager
def explained_full_disk(folder: str | Path, kept: str) -> Iterator[None]:
    """Like :func:`explained_disk_errors`, for a block that does more than write.

    Only a disk that takes no more is explained: it is full, over quota, read-only or broken, or a file may
    not grow further.  A file that the block fails to find, say, is none of its business.

    Raises:
        DiskError: in place of such an ``OSError``.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _CANNOT_GROW:
            raise
        raise disk_error(folder, error, kept) from error
