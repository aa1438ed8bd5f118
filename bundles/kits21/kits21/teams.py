"""The teams to score: their folders, and which file predicts which case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from common.datasets.raw.label_volumes import check_grid, read_grid
from common.errors import InputError
from kits21.references import Reference, label_files

__all__ = ["Team", "check_predictions", "find_teams"]

Folders = str | Path | Sequence[str | Path] | Mapping[str, str | Path]


@dataclass(frozen=True)
class Team:
    """One team: its name, the file of each case it predicted, and files that belong to no case."""

    name: str
    folder: Path
    files: Mapping[str, Path]
    unused: Sequence[Path]


def find_teams(folders: Folders, cases: Sequence[str]) -> list[Team]:
    """The teams, in the order given or sorted by folder name.

    Args:
        folders: one folder of predictions; a folder with one such folder per team; a list of folders; or
            team name -> folder.  A prediction is ``<case>.nii.gz`` or ``<case>_<anything>.nii.gz``.
        cases: names of the cases.

    Raises:
        InputError: a folder is missing or has no NIfTI files, two share a name, a case has two files, or no
            file is named after a case.
    """
    if isinstance(folders, Mapping):
        named = [(str(name), Path(folder)) for name, folder in folders.items()]
    elif isinstance(folders, (str, Path)):
        named = _in_one(Path(folders))
    else:
        named = [(Path(folder).resolve().name, Path(folder)) for folder in folders]
    names = [name for name, _ in named]
    files = all(name and Path(name).name == name for name in names)  # names become parts of file names
    if not named or len(set(names)) < len(names) or not files:
        raise InputError(
            f"--prediction_dir: teams {names}; expected at least one, each with its own name without '/': "
            "give names as  --prediction_dir \"{'ours': 'runs/a', 'theirs': 'runs/b'}\""
        )
    return [_team(name, folder, cases) for name, folder in named]


def _in_one(folder: Path) -> list[tuple[str, Path]]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the predictions with --prediction_dir")
    if label_files(folder):
        return [(folder.resolve().name, folder)]
    within = [one for one in sorted(folder.iterdir()) if one.is_dir() and label_files(one)]
    if not within:
        raise InputError(
            f"{folder}: has no NIfTI files, nor has a folder in it; expected case_00000.nii.gz and so on: "
            f"correct --prediction_dir"
        )
    return [(one.name, one) for one in within]


def _team(name: str, folder: Path, cases: Sequence[str]) -> Team:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; correct --prediction_dir")
    files: dict[str, Path] = {}
    unused: list[Path] = []
    for stem, path in label_files(folder).items():
        case = _case_of(stem, cases)
        if case is None:
            unused.append(path)
        elif case in files:
            raise InputError(f"{path}: a second prediction of {case} beside {files[case].name}; expected one")
        else:
            files[case] = path
    if not files:
        found = ", ".join(path.name for path in unused[:3]) or "no NIfTI files"
        raise InputError(f"{folder}: found {found}; expected {cases[0]}.nii.gz and so on: rename the files")
    return Team(name, folder, files, unused)


def _case_of(stem: str, cases: Sequence[str]) -> str | None:
    fitting = [case for case in cases if stem == case or stem.startswith(f"{case}_")]
    return max(fitting, key=len, default=None)


def check_predictions(
    teams: Sequence[Team], references: Sequence[Reference], *, allow_missing: bool = False
) -> None:
    """Check every file's header before any voxel is read, and report all faults at once.

    Raises:
        InputError: predictions are missing (unless that is allowed), or are not on their reference's grid.
    """
    problems: list[str] = []
    for reference in references:
        for team in teams:
            try:
                if reference.case in team.files:
                    check_grid(read_grid(team.files[reference.case]), reference.grid)
            except InputError as error:
                problems.append(str(error))
    if not allow_missing:
        for team in teams:
            lacking = [r.case for r in references if r.case not in team.files]
            if lacking:
                problems.append(
                    f"{team.folder}: no prediction of {len(lacking)} of {len(references)} cases, first "
                    f"{lacking[0]}; add them, or count them as empty with  --missing empty"
                )
    if problems:
        more = f" | {len(problems) - 1} more: {' | '.join(problems[1:])}" if len(problems) > 1 else ""
        raise InputError(problems[0] + more)
