"""Errors that a user can repair, and how they are shown.

An :class:`InputError` says what was found, what was expected and what to do.  Python code catches
it as the ``ValueError`` that it is; a command shows its one line instead of a traceback.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterable
from types import TracebackType

__all__ = [
    "InputError",
    "note_folders",
    "printable",
    "root_input_error",
    "show_input_errors_as_one_line",
]

_CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)

_folders: list[str] = []


class InputError(ValueError):
    """Something outside the code is wrong: a file, a value in a config, an option."""


def printable(text: str, *, kept: str = "") -> str:
    """The text with escapes for what is not seen: control codes, changes of direction, lone surrogates.

    Args:
        text: from outside: a name in an index, a file's content quoted in an error.
        kept: characters to leave as they are.
    """
    return "".join(one if one.isprintable() or one in kept else ascii(one)[1:-1] for one in text)


def root_input_error(error: BaseException | None) -> InputError | None:
    """The :class:`InputError` at the bottom of a chain of exceptions, if there is one.

    MONAI wraps whatever a config raises in a ``RuntimeError`` that prints the whole config.
    """
    found = None
    while error is not None:
        if isinstance(error, InputError):
            found = error
        error = error.__cause__ or error.__context__
    return found


def note_folders(folders: Iterable[object]) -> None:
    """Note where a run writes: a full disk met by a library's own writer, as TensorBoard's, has no name."""
    _folders[:] = dict.fromkeys(map(str, folders))


def _disk_that_takes_no_more(error: BaseException | None) -> str | None:
    while error is not None:
        if isinstance(error, OSError) and error.errno in _CANNOT_WRITE:
            where = error.filename or " or ".join(_folders) or "the disk"
            return f"{where}: cannot write there ({error.strerror}); what was complete before is kept"
        error = error.__cause__ or error.__context__
    return None


def show_input_errors_as_one_line() -> None:
    """Make an uncaught :class:`InputError` end the process with its message and exit code 1.

    So does a full disk.  For commands only: it replaces ``sys.excepthook``; every other exception is shown as
    before.
    """
    previous = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        cause = root_input_error(error) or _disk_that_takes_no_more(error)
        if cause is None:
            previous(kind, error, trace)
        else:
            print("error:", printable(str(cause), kept="\n"), file=sys.stderr)

    sys.excepthook = hook
