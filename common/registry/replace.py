"""Replace in a folder what an earlier run made there, and nothing else.

A list in the folder, ``.made_by_index``, says which files are ours.  A file arrives before those that refer
to it and goes after them, so a page or an index never refers to a file that is not there, even if
the process is killed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from common.errors import InputError
from common.files import write_text
from common.leftovers import remove_leftovers

__all__ = ["replace_made"]

_LIST = ".made_by_index"


def replace_made(folder: Path, building: Path, last: Sequence[str]) -> None:
    """Move all files of ``building`` into ``folder`` and remove what only an earlier call moved there.

    Args:
        folder: may hold files of other people.
        building: on the same disk.
        last: patterns of the files that refer to others, in the order in which they are replaced.

    Raises:
        InputError: a file that is not ours is in the way; nothing has been replaced then.
        OSError: the folder cannot be written.
    """
    remove_leftovers(folder / _LIST)
    new = {path.relative_to(building).as_posix() for path in building.rglob("*") if path.is_file()}
    old = _listed(folder)
    _require_free(folder, new - old, new)
    _write_list(folder, old | new)
    for file in _in_order(new, last):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        os.replace(building / file, folder / file)
    for file in reversed(_in_order(old - new, last)):
        _remove(folder, file)
    _write_list(folder, new)


def _listed(folder: Path) -> set[str]:
    try:
        lines = (folder / _LIST).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return set()
    except UnicodeDecodeError as error:
        raise InputError(f"{folder / _LIST}: is damaged; move it away, with what index made there") from error
    return {line for line in lines if line and "\0" not in line and _stays_below(line)}


def _stays_below(file: str) -> bool:
    path = PurePosixPath(file)
    return not path.is_absolute() and ".." not in path.parts


def _write_list(folder: Path, files: set[str]) -> None:
    write_text(folder / _LIST, "".join(f"{file}\n" for file in sorted(files)))


def _require_free(folder: Path, foreign: set[str], new: set[str]) -> None:
    in_the_way = {file for file in foreign if os.path.lexists(folder / file)}
    in_the_way |= {file for file in new - foreign if (folder / file).is_dir()}
    parents = {parent.as_posix() for file in new for parent in PurePosixPath(file).parents}
    in_the_way |= {one for one in parents if os.path.lexists(folder / one) and not (folder / one).is_dir()}
    if in_the_way:
        raise InputError(
            f"{folder / min(in_the_way)}: is in the way and was not made by index; move it away, or index "
            "another folder"
        )


def _in_order(files: set[str], last: Sequence[str]) -> list[str]:
    def rank(file: str) -> int:
        ranks = [i for i, pattern in enumerate(last) if fnmatchcase(file, pattern)]
        return ranks[-1] if ranks else -1

    return sorted(files, key=lambda file: (rank(file), file))


def _remove(folder: Path, file: str) -> None:
    with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
        (folder / file).unlink()
    for parent in PurePosixPath(file).parents[:-1]:
        with suppress(OSError):  # not empty: other files are in it
            (folder / parent).rmdir()
