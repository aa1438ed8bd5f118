"""The challenge as a tool: predictions of one team or several against the references, to tables and plots.

    python -m monai.bundle run --config_file bundles/kits21/configs/score.json \\
        --prediction_dir P --reference_dir R

Files written to the output folder:

    scores_<team>.csv       the challenge's table: six numbers per case, their average in the last row; each
                            the mean over all plausible annotations, or without samples against the majority
    leaderboard.csv, .txt   places, averages, ranks, and how stable the places are on resampled cases
    scores.png              every team's six scores
    places.png              with two or more teams: how often each took each place
    majority_<team>.csv     with samples: like scores, against the majority of the annotations
    inter_rater.csv         with samples: the annotators' scores against one another, and their distance
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import kits21
from common.datasets.raw.label_volumes import check_grid, read_grid
from common.errors import InputError
from common.evaluation.challenge.kept_rows import KeptRows
from common.evaluation.challenge.report import Report, rank_and_draw, write_team_scores
from common.evaluation.challenge.scoring import Table, score_cases
from common.evaluation.challenge.tables import unused_lines, write_scores
from common.evaluation.challenge.teams import check_predictions, find_teams
from common.files import require_writable
from kits21.metrics import COLUMNS, TABLE
from kits21.references import Reference, find_references
from kits21.scored_case import DISTANCE, MAJORITY, ScoredCase

__all__ = ["score_teams"]

_MISSING = ("error", "empty")
#: How teams are ranked: as the organisers' program does, or as their page says.
_RANKINGS = {
    "two_averages": {"groups": TABLE.groups, "ties": "min"},
    "six_averages": {"groups": None, "ties": "average"},
}
_IN_WORDS = {"two_averages": "mean Dice and mean SD", "six_averages": "six averages"}


def score_teams(
    prediction_dir: Any,
    reference_dir: str | Path | None,
    output_dir: str | Path,
    *,
    samples: bool = True,
    missing: str = "error",
    ranking: str = "two_averages",
    tie_break: str | None = "Dice_tumor",
    draws: int = 1000,
    seed: int = 0,
) -> None:
    """Score and rank the teams, write the tables and plots, and print the leaderboard.

    Args:
        prediction_dir: see :func:`common.evaluation.challenge.teams.find_teams`.
        reference_dir: see :func:`kits21.references.find_references`.
        output_dir: where to write.
        samples: score the teams against every plausible annotation, as the challenge's program does, and the
            annotators against each other; False: against the majority alone.
        missing: a case without a prediction is an ``error`` or counts as ``empty``.
        ranking: ``two_averages``, the mean Dice and the mean surface Dice, equal teams sharing the lowest
            rank (the organisers' program); or ``six_averages``, each column (their page).
        tie_break: the column whose average separates teams of equal mean rank; None: they share their place.
        draws: number of rankings on resampled cases; 0: none.
        seed: of the resampling.

    Raises:
        InputError: no folders, unknown options, or files that cannot be scored; every fault is named.
    """
    for option, value in (("prediction_dir", prediction_dir), ("reference_dir", reference_dir)):
        if not value:
            raise InputError(f"score.json: {option} is not given; say where, with  --{option} FOLDER")
    _check_options(missing, ranking, tie_break, draws)
    references = find_references(reference_dir)
    teams = find_teams(prediction_dir, [reference.case for reference in references])
    if samples:
        _check_annotations(references)
    check_predictions(teams, references, _check_grid, allow_missing=missing == "empty")
    require_writable(output_dir)

    found = score_cases(
        teams,
        references,
        open_case=ScoredCase,
        score=ScoredCase.against_samples if samples else ScoredCase.against_majority,
        of_case=ScoredCase.between_raters if samples else None,
        kept=KeptRows(kits21, {"samples": samples}),
    )
    write_team_scores(output_dir, found.teams, COLUMNS)
    if samples:
        write_team_scores(output_dir, _majority(found.teams), COLUMNS, stem="majority")
        columns = (*COLUMNS, *DISTANCE.values())
        write_scores(Path(output_dir) / "inter_rater.csv", found.cases, columns)
    options = {"tie_break": tie_break, "draws": draws, "seed": seed, "missing": found.missing}
    _rank(Path(output_dir), found.teams, ranking, **options)
    for line in unused_lines(teams):
        print(line)


def _check_options(missing: str, ranking: str, tie_break: str | None, draws: int) -> None:
    for name, word, known in (("missing", missing, _MISSING), ("ranking", ranking, _RANKINGS)):
        if word not in known:
            raise InputError(f"score.json: {name} is '{word}'; expected one of: {', '.join(known)}")
    if tie_break is not None and tie_break not in COLUMNS:
        raise InputError(
            f"score.json: tie_break is '{tie_break}'; expected null or one of: {', '.join(COLUMNS)}"
        )
    if not isinstance(draws, int) or draws < 0:
        raise InputError(f"score.json: draws is {draws}; expected a whole number of at least 0")


def _check_annotations(references: Sequence[Reference]) -> None:
    for reference in references:
        if reference.files is None:
            raise InputError(
                f"{reference.label_file}: {reference.case} has a label map alone; samples need annotations, "
                f"{reference.case}/segmentations/: correct --reference_dir, or score against the label maps "
                f"with  --samples False"
            )
        reference.number  # noqa: B018 (raises where the name has none)


def _check_grid(prediction: Path, reference: Reference) -> None:
    check_grid(read_grid(prediction), reference.grid)


def _majority(table: Table) -> Table:
    """The numbers against the majority, under the names of the challenge's columns."""
    return {
        team: {case: {column: row[MAJORITY[column]] for column in COLUMNS} for case, row in cases.items()}
        for team, cases in table.items()
    }


def _rank(
    folder: Path,
    table: Table,
    by: str,
    *,
    tie_break: str | None,
    draws: int,
    seed: int,
    missing: Mapping[str, Sequence[str]] | None = None,
) -> None:
    first = None if tie_break is None else COLUMNS.index(tie_break)
    report = Report(
        TABLE,
        rule={**_RANKINGS[by], "tie_break": first},
        ranked=_IN_WORDS[by],
        draws=draws,
        seed=seed,
        structures=False,
        alpha=None,
        counted="empty",
    )
    print(rank_and_draw(folder, table, report, missing=missing), end="")
