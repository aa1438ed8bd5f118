"""Scores kept from one run to the next: a file that was scored is not scored again.

A row is kept in the user's cache folder for as long as the prediction, the reference's files, the challenge's
settings and the code that scores stay the same.  So an interrupted run goes on where it was, and one more
team costs one more team.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import common
from common.file_cache import FileCache, stamp

__all__ = ["KeptRows"]

Row = Mapping[str, float]


class KeptRows:
    """The rows of one challenge.

    Args:
        package: the bundle's, whose code scores; with another state of it, or of ``common``, all is scored
            anew.
        settings: plain JSON, all that the numbers depend on beside the files: tolerances, rounding.

    Attributes:
        found: how many rows of earlier runs were taken.
    """

    def __init__(self, package: ModuleType, settings: Any = None) -> None:
        self._name = [package.__name__, settings]
        self._cache = FileCache("scores", version=_code_of([common, package]))
        self.found = 0
        self._computed: set[str] = set()

    def row(
        self, prediction: Path | None, sources: Sequence[Path], compute: Callable[[], Row]
    ) -> Mapping[str, float]:
        """The row that was kept, or else the one that is computed now.

        Args:
            prediction: file, or folder of files; None: of a row that belongs to the case itself.
            sources: the reference's files.
            compute: gives the row.
        """
        ours = [] if prediction is None else _files_of(prediction)
        files = [str(path.absolute()) for path in (*ours, *sources)]
        name = [*self._name, None if prediction is None else str(prediction.absolute()), files]
        kept = self._cache.load(name, files)
        if kept is not None:
            self.found += str(name) not in self._computed
            return kept
        self._computed.add(str(name))
        stamped = stamp(files)
        row = dict(compute())
        if stamped is not None:
            self._cache.save(name, stamped, row)
        return row


def _files_of(prediction: Path) -> list[Path]:
    if not prediction.is_dir():
        return [prediction]
    return sorted(path for path in prediction.rglob("*") if path.is_file())


def _code_of(packages: Sequence[ModuleType]) -> str:
    digest = hashlib.sha256()
    for package in packages:
        folder = Path(package.__file__).parent
        for file in sorted(folder.rglob("*.py")):
            digest.update(f"{package.__name__}/{file.relative_to(folder)}\n".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()
