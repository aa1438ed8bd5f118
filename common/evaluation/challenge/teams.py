"""The teams to score: their folders, and which file predicts which case."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from common.errors import InputError

__all__ = ["Case", "Folders", "Submissions", "Team", "check_predictions", "files_by_stem", "find_teams"]

Folders = str | Path | Sequence[str | Path] | Mapping[str, str | Path]


class Case(Protocol):
    """A case that predictions are scored against."""

    @property
    def case(self) -> str:
        """Its name."""


AnyCase = TypeVar("AnyCase", bound=Case)


@dataclass(frozen=True)
class Team:
    """One team: its name, the file of each case it predicted, and files that belong to no case."""

    name: str
    folder: Path
    files: Mapping[str, Path]
    unused: Sequence[Path]


@dataclass(frozen=True)
class Submissions:
    """What a challenge's predictions are, and how errors speak of them.

    Attributes:
        option: of the scoring config that takes the folders.
        suffixes: of a prediction's file.
        kind: what such files are called, in the plural.
        files: stem -> prediction, for a team's folder; None: its files with one of the suffixes.  Where a
            prediction is a folder of files, give a function that finds these.
    """

    option: str = "prediction_dir"
    suffixes: Sequence[str] = (".nii.gz", ".nii")
    kind: str = "NIfTI files"
    files: Callable[[Path], Mapping[str, Path]] | None = None

    def within(self, folder: Path) -> Mapping[str, Path]:
        """Stem -> prediction directly in a folder, by name."""
        return files_by_stem(folder, self.suffixes) if self.files is None else self.files(folder)


def files_by_stem(folder: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    """Stem -> file for the files directly in a folder, by name; hidden ones are left out.

    Args:
        folder: which exists.
        suffixes: those taken; the first that fits is cut off.
    """
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        suffix = next((s for s in suffixes if path.name.endswith(s)), None)
        if suffix and path.is_file() and not path.name.startswith("."):
            files[path.name.removesuffix(suffix)] = path
    return files


def find_teams(folders: Folders, cases: Sequence[str], submissions: Submissions | None = None) -> list[Team]:
    """The teams, in the order given or sorted by folder name.

    Args:
        folders: one folder of predictions; a folder with one such folder per team; a list of folders; or
            team name -> folder.  A prediction is ``<case>.nii.gz`` or ``<case>_<anything>.nii.gz``.
        cases: names of the cases.
        submissions: what predictions are; None: NIfTI files.

    Raises:
        InputError: a folder is missing or has no predictions, two share a name, a case has two files, or no
            file is named after a case.
    """
    submissions = submissions or Submissions()
    if isinstance(folders, Mapping):
        named = [(str(name), Path(folder)) for name, folder in folders.items()]
    elif isinstance(folders, (str, Path)):
        named = _in_one(Path(folders), cases, submissions)
    else:
        named = [(Path(folder).resolve().name, Path(folder)) for folder in folders]
    names = [name for name, _ in named]
    files = all(name and Path(name).name == name for name in names)  # names become parts of file names
    if not named or len(set(names)) < len(names) or not files:
        raise InputError(
            f"--{submissions.option}: teams {names}; expected at least one, each with its own name without "
            f"'/': give names as  --{submissions.option} \"{{'ours': 'runs/a', 'theirs': 'runs/b'}}\""
        )
    return [_team(name, folder, cases, submissions) for name, folder in named]


def _in_one(folder: Path, cases: Sequence[str], submissions: Submissions) -> list[tuple[str, Path]]:
    option = f"--{submissions.option}"
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the predictions with {option}")
    if submissions.within(folder):
        return [(folder.resolve().name, folder)]
    within = [one for one in sorted(folder.iterdir()) if one.is_dir() and submissions.within(one)]
    if not within:
        raise InputError(
            f"{folder}: has no {submissions.kind}, nor has a folder in it; expected "
            f"{cases[0]}{submissions.suffixes[0]} and so on: correct {option}"
        )
    return [(one.name, one) for one in within]


def _team(name: str, folder: Path, cases: Sequence[str], submissions: Submissions) -> Team:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; correct --{submissions.option}")
    files: dict[str, Path] = {}
    unused: list[Path] = []
    for stem, path in submissions.within(folder).items():
        case = _case_of(stem, cases)
        if case is None:
            unused.append(path)
        elif case in files:
            raise InputError(f"{path}: a second prediction of {case} beside {files[case].name}; expected one")
        else:
            files[case] = path
    if not files:
        found = ", ".join(path.name for path in unused[:3]) or f"no {submissions.kind}"
        raise InputError(
            f"{folder}: found {found}; expected {cases[0]}{submissions.suffixes[0]} and so on: "
            f"rename the files"
        )
    return Team(name, folder, files, unused)


def _case_of(stem: str, cases: Sequence[str]) -> str | None:
    fitting = [case for case in cases if stem == case or stem.startswith(f"{case}_")]
    return max(fitting, key=len, default=None)


def check_predictions(
    teams: Sequence[Team],
    references: Sequence[AnyCase],
    check: Callable[[Path, AnyCase], None],
    *,
    allow_missing: bool = False,
    counted: str = "empty",
) -> None:
    """Check every file's header before any voxel is read, and report all faults at once.

    Args:
        teams: whose files.
        references: the cases.
        check: raises InputError where a prediction does not lie on the reference's grid, from headers alone.
        allow_missing: cases may lack a prediction.
        counted: the value of ``missing`` that allows it, for the message.

    Raises:
        InputError: predictions are missing (unless that is allowed), or ``check`` refused some.
    """
    problems: list[str] = []
    for reference in references:
        for team in teams:
            try:
                if reference.case in team.files:
                    check(team.files[reference.case], reference)
            except InputError as error:
                problems.append(str(error))
    for team in teams if not allow_missing else ():
        lacking = [r.case for r in references if r.case not in team.files]
        if lacking:
            problems.append(
                f"{team.folder}: no prediction of {len(lacking)} of {len(references)} cases, first "
                f"{lacking[0]}; add them, or count them as {counted} with  --missing {counted}"
            )
    if problems:
        more = f" | {len(problems) - 1} more: {' | '.join(problems[1:])}" if len(problems) > 1 else ""
        raise InputError(problems[0] + more)
