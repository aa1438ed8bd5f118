"""Every prediction of every team against its reference, case by case."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Protocol, TypeVar

from tqdm import tqdm

from common.evaluation.challenge.kept_rows import KeptRows
from common.evaluation.challenge.teams import Team

__all__ = ["Reference", "Row", "Scores", "Table", "score_cases"]

Row = Mapping[str, float]  # column -> value
Table = dict[str, dict[str, Row]]  # team -> case -> row
Opened = TypeVar("Opened")


class Reference(Protocol):
    """A case to score against; any class of a bundle that has these two."""

    @property
    def case(self) -> str:
        """Its name, which a prediction's file begins with."""

    @property
    def sources(self) -> Sequence[Path]:
        """The files that it is read from."""


AnyReference = TypeVar("AnyReference", bound=Reference)


@dataclass(frozen=True)
class Scores:
    """What was scored.

    Attributes:
        teams: team -> case -> column -> value.
        cases: case -> column -> value, of what belongs to the case itself.
        missing: team -> the cases without a prediction, for the teams that lack some.
    """

    teams: Table = field(default_factory=dict)
    cases: dict[str, Row] = field(default_factory=dict)
    missing: dict[str, list[str]] = field(default_factory=dict)


def score_cases(
    teams: Sequence[Team],
    references: Sequence[AnyReference],
    *,
    open_case: Callable[[AnyReference], Opened],
    score: Callable[[Opened, Path | None], Row],
    of_case: Callable[[Opened], Row] | None = None,
    missing_row: Row | None = None,
    kept: KeptRows | None = None,
) -> Scores:
    """Score all predictions, with a progress bar; each reference is read once for all teams.

    Args:
        teams: see :func:`common.evaluation.challenge.teams.find_teams`.
        references: the cases, in the order of the tables.
        open_case: reads a reference; called only if something of the case is not known yet.
        score: the row of one prediction, from the opened case and the prediction's file; of None, where there
            is none and ``missing_row`` is not given.  See
            :meth:`common.evaluation.challenge.columns.Columns.row`.
        of_case: the row of a case itself, such as its annotators against one another.
        missing_row: the row of a case without a prediction, such as 0 in each column; None: ``score`` says.
        kept: where rows of earlier runs are; None: everything is scored.
    """
    scores = Scores(teams={team.name: {} for team in teams})
    with tqdm(total=len(references) * len(teams), desc="scoring", unit="prediction") as bar:
        for reference in references:
            opened = cache(partial(open_case, reference))  # once, and only when it is needed
            row_of = partial(_row, kept, reference.sources)
            for team in teams:
                file = team.files.get(reference.case)
                if file is None:
                    scores.missing.setdefault(team.name, []).append(reference.case)
                    row = score(opened(), None) if missing_row is None else missing_row
                else:
                    row = row_of(file, lambda file=file, opened=opened: score(opened(), file))
                scores.teams[team.name][reference.case] = row
                bar.update()
            if of_case is not None:
                scores.cases[reference.case] = row_of(None, lambda opened=opened: of_case(opened()))
    if kept is not None and kept.found:
        print(f"scores of {kept.found} files are those of an earlier run: the files have not changed since")
    return scores


def _row(
    kept: KeptRows | None, sources: Sequence[Path], prediction: Path | None, compute: Callable[[], Row]
) -> Row:
    return compute() if kept is None else kept.row(prediction, sources, compute)
