"""A challenge for tests: each case is a number in a text file, and teams guess two numbers close to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from common.evaluation.challenge.columns import Columns
from common.evaluation.challenge.teams import Submissions

COLUMNS = Columns(["left", "right"], ["share", "mm"], smaller_is_better=["mm"])
SUBMISSIONS = Submissions("submissions", (".txt",), "text files")


@dataclass(frozen=True)
class Number:
    """A case, with its file."""

    case: str
    file: Path

    @property
    def sources(self) -> list[Path]:
        return [self.file]


class Opened:
    """A case that was read; ``seen`` notes each reading and each scoring."""

    def __init__(self, number: Number, seen: list[str]) -> None:
        self.case, self.seen = number.case, seen
        seen.append(f"open {number.case}")
        self.truth = float(number.file.read_text())

    def score(self, file: Path | None) -> Mapping[str, float]:
        self.seen.append(f"score {self.case} {None if file is None else file.parent.name}")
        guesses = [0.0, 0.0] if file is None else [float(word) for word in file.read_text().split()]
        sides = zip(COLUMNS.structures, guesses, strict=True)
        off = {side: abs(guess - self.truth) for side, guess in sides}
        return COLUMNS.row({side: {"share": 1 - mm, "mm": mm} for side, mm in off.items()})

    @cached_property
    def own(self) -> Mapping[str, float]:
        self.seen.append(f"own {self.case}")
        return {"truth": self.truth}


class Guessing:
    """The folders: ``truth`` with a file per case, and one folder for each team."""

    def __init__(self, root: Path, truth: Mapping[str, float]) -> None:
        self.root, self.seen = root, []
        for case, value in truth.items():
            self.write("truth", case, value)
        self.references = [Number(case, root / "truth" / f"{case}.txt") for case in truth]

    @property
    def cases(self) -> list[str]:
        return [reference.case for reference in self.references]

    def write(self, folder: str, case: str, *numbers: float) -> Path:
        path = self.root / folder / f"{case}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(" ".join(map(str, numbers)))
        return path

    def open(self, number: Number) -> Opened:
        return Opened(number, self.seen)

    def taken(self) -> list[str]:
        """What was read and scored since the last call."""
        seen, self.seen[:] = list(self.seen), []
        return seen
