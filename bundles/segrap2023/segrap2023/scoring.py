"""The challenge as a tool: submissions of one team or several against the references, to tables and plots.

    python -m monai.bundle run --config_file bundles/segrap2023/configs/score.json \\
        --submissions "['TEAM_A','TEAM_B']" --references DIR

What is written is listed in :mod:`common.evaluation.challenge.report`.

Source: segrap2023/docs/method.md#scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import segrap2023
from common.datasets.raw.label_volumes import check_grid
from common.datasets.raw.segrap_classes import Structures
from common.errors import InputError
from common.evaluation.challenge.columns import Columns
from common.evaluation.challenge.kept_rows import KeptRows
from common.evaluation.challenge.report import Report, rank_and_draw, write_team_scores
from common.evaluation.challenge.scoring import score_cases
from common.evaluation.challenge.teams import Submissions, check_predictions, files_by_stem, find_teams
from common.files import require_writable
from segrap2023.metrics import METRICS, score_structure
from segrap2023.stacks import StructureFiles, find_structures, has_structure_files
from segrap2023.structures import TASKS, structures_of, tolerance_mm

__all__ = ["CaseReference", "find_references", "score_submission", "score_teams"]

_MISSING = ("zero", "error")
_VOLUMES = (".nii.gz", ".nii", ".nrrd")


@dataclass(frozen=True)
class CaseReference:
    """A case to score against: its name, and the structures of its reference."""

    case: str
    truth: StructureFiles

    @property
    def sources(self) -> Sequence[Path]:
        """The files that it is read from."""
        return sorted(self.truth.files.values()) or [self.truth.path]


def predictions_in(folder: Path, structures: Structures) -> dict[str, Path]:
    """Case -> file or folder of a team: 4D ``.mha`` files; else folders of structures; else label maps.

    The first kind that is there counts, so that a folder may hold the label maps too that a prediction wrote
    beside its 4D files.
    """
    stacks = files_by_stem(folder, (".mha",))
    if stacks:
        return stacks
    folders = {
        path.name: path
        for path in sorted(folder.iterdir())
        if path.is_dir() and has_structure_files(path, structures)
    }
    return folders or files_by_stem(folder, _VOLUMES)


def find_references(folder: str | Path, structures: Structures) -> list[CaseReference]:
    """The cases of a folder of references, by name; headers are checked.

    Args:
        folder: with what :func:`predictions_in` takes.
        structures: of the task.

    Raises:
        InputError: there is no such folder, or nothing in it, or a file that is no reference.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; correct --references")
    found = predictions_in(folder, structures)
    if not found:
        raise InputError(
            f"{folder}: has no 4D file, no folder of structures and no label map; expected a reference of "
            "each case, such as segrap_0000.mha: correct --references"
        )
    return [CaseReference(case, find_structures(path, structures)) for case, path in found.items()]


def score_submission(truth: StructureFiles, prediction: StructureFiles) -> dict[str, dict[str, float]]:
    """Structure -> DSC and NSD of one case, each rounded to four decimals.

    Structures are told apart by name, whatever form either side has.  One without a file counts 0 in a
    prediction, and is empty in a reference.

    Raises:
        InputError: a file cannot be read.
    """
    scores: dict[str, dict[str, float]] = {}
    lacking = set(prediction.lacking)
    for (name, reference), (same, mask) in zip(truth.masks(), prediction.masks(), strict=True):
        assert name == same, "both follow the order of the task's structures"
        if name in lacking:
            scores[name] = dict.fromkeys(METRICS, 0.0)
            continue
        scores[name] = score_structure(
            mask, reference, spacing=truth.spacing, tolerance_mm=tolerance_mm(name)
        )
    return scores


def score_teams(
    submissions: Any,
    references: str | Path | None,
    output_dir: str | Path,
    *,
    task: str = "organs",
    missing: str = "zero",
    alpha: float | None = 0.05,
    draws: int = 1000,
    seed: int = 0,
) -> None:
    """Score and rank the teams, write the tables and plots, and print the leaderboard.

    Teams are ranked on the average of each structure and metric over the cases, and by the mean of their
    ranks; beside it stands a ranking in which teams without a significant difference share a place.

    Args:
        submissions: one folder of predictions, a folder with one such folder per team, a list of folders,
            or team name -> folder.  A prediction is ``<case>.mha``, a folder ``<case>`` with a file for each
            structure, or a label map ``<case>.nii.gz``.
        references: folder with the same of the references.
        output_dir: where to write.
        task: "organs" or "tumours".
        missing: a case without a prediction counts as "zero", which the tables say, or is an "error".
        alpha: level of the ranking by significance; None: there is none.
        draws: number of rankings on resampled cases; 0: none.
        seed: of the resampling.

    Raises:
        InputError: no folders, unknown options, or files that cannot be scored; every fault is named.
    """
    for option, value in (("submissions", submissions), ("references", references)):
        if not value:
            raise InputError(f"score.json: {option} is not given; say where, with  --{option} FOLDER")
    for name, word, known in (("task", task, TASKS), ("missing", missing, _MISSING)):
        if word not in known:
            raise InputError(f"score.json: {name} is {word!r}; expected one of: {', '.join(known)}")
    structures = structures_of(task)
    cases = find_references(references, structures)
    forms = Submissions(
        option="submissions",
        suffixes=(".mha", *_VOLUMES),
        kind="4D files, folders of structures or label maps",
        files=lambda folder: predictions_in(folder, structures),
    )
    teams = find_teams(submissions, [one.case for one in cases], forms)
    find = cache(partial(find_structures, structures=structures))

    def check(file: Path, reference: CaseReference) -> None:
        check_grid(find(file).grid, reference.truth.grid)

    check_predictions(teams, cases, check, allow_missing=missing == "zero", counted="zero")
    require_writable(output_dir)
    columns = Columns(tuple(structures), METRICS)

    def score(reference: CaseReference, file: Path | None) -> Mapping[str, float]:
        assert file is not None, "a missing case has a row of its own"
        return columns.row(score_submission(reference.truth, find(file)))

    scores = score_cases(
        teams,
        cases,
        open_case=lambda reference: reference,
        score=score,
        missing_row=dict.fromkeys(columns.names, 0.0),
        kept=KeptRows(segrap2023, task),
    )
    write_team_scores(output_dir, scores.teams, columns.names)
    report = Report(
        columns, ranked=f"{len(columns.names)} columns", draws=draws, seed=seed, alpha=alpha, counted="0"
    )
    print(rank_and_draw(output_dir, scores.teams, report, missing=scores.missing), end="")
    for team in teams:
        if team.unused:
            print(f"{team.name}: {len(team.unused)} files belong to no case, first {team.unused[0].name}")
        lacking = [f"{file.name}/{name}" for file in team.files.values() for name in find(file).lacking]
        if lacking:
            print(f"{team.name}: {len(lacking)} structures have no file and count as 0, first {lacking[0]}")
