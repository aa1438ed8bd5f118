"""The published lists of public data sets, and which of their cases a download holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from common.errors import InputError

__all__ = ["cases_present", "numbers_beside", "published_lists"]

_FOLDER = Path(__file__).resolve().parents[1] / "public" / "splits"
_SECTIONS = ("training", "validation", "test")


def published_lists(name: str) -> dict[str, list[str]]:
    """Names of the cases of every list that was published for a data set, in the published order.

    Args:
        name: of the files, ``public/splits/<name>_training.txt`` and so on.
    """
    return {section: [line[0] for line in lines] for section, lines in _lines(name).items()}


def numbers_beside(name: str, section: str) -> dict[str, int]:
    """The number that stands behind each case of a list."""
    return {case: int(number) for case, number in _lines(name)[section]}


def _lines(name: str) -> dict[str, list[list[str]]]:
    files = {section: _FOLDER / f"{name}_{section}.txt" for section in _SECTIONS}
    return {
        section: [line.split() for line in file.read_text(encoding="utf-8").splitlines()]
        for section, file in files.items()
        if file.is_file()
    }


def cases_present(
    lists: Mapping[str, Sequence[str]], file_of: Callable[[str], Path | None], *, partial: bool, source: Path
) -> dict[str, list[str]]:
    """The lists, with only the cases that are there.

    Args:
        lists: names of the cases by section.
        file_of: the file that a case is recognised by, or where it was looked for; None if nowhere.
        partial: cases may be missing.
        source: the raw download.

    Raises:
        InputError: a case is missing and ``partial`` is not set, or no training case is there.
    """
    found = {section: [c for c in cases if _is_file(file_of(c))] for section, cases in lists.items()}
    missing = [case for section, cases in lists.items() for case in cases if case not in set(found[section])]
    total = sum(map(len, lists.values()))
    if missing and not (partial and found["training"]):
        place = file_of(missing[0]) or source
        raise InputError(
            f"{place}: {missing[0]} is not there; {len(missing)} of the {total} published cases are missing: "
            f"complete the download, or prepare fewer (at least one to train on) with  --partial true"
        )
    return found


def _is_file(path: Path | None) -> bool:
    return path is not None and path.is_file()
