"""What the results of a case are called: like its file, in the folder that the file has among the others.

``A/1.nii.gz`` and ``B/1.nii.gz`` become ``A/1_seg.nii.gz`` and ``B/1_seg.nii.gz``; files of one folder need
no folder in the output.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from common.datasets.check.voxels import stem_of
from common.datasets.lists.case_list import CaseList, flat_map
from common.errors import InputError

__all__ = ["OUTPUT_NAME", "base_name", "distinct_names", "output_path", "with_output_names"]

#: The key of a case to predict under which its results' common name stands, with ``/`` between folders.
OUTPUT_NAME = "output_name"


def distinct_names(files: Sequence[str | Path]) -> list[str]:
    """Each file's path from the deepest folder that holds all of them: mostly just its name.

    A file that occurs again is numbered: ``a.nii.gz (2)``.
    """
    seen: Counter[str] = Counter()
    names = []
    for name in _from_common_folder(files):
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return names


def _from_common_folder(files: Sequence[str | Path]) -> list[str]:
    paths = [os.path.abspath(file) for file in files]
    top = os.path.commonpath([os.path.dirname(path) for path in paths]) if paths else ""
    return [Path(path).relative_to(top).as_posix() for path in paths]


def base_name(file: str | Path) -> str:
    """The file's name without suffix: ``a`` of ``a.png`` or ``a.nii.gz``, ``sub.01`` of ``sub.01.nii``."""
    stem = stem_of(file)
    return Path(stem).stem if stem == Path(file).name else stem


def with_output_names(cases: Iterable[Mapping[str, Any]], *, onto: str | None = None) -> list[dict[str, Any]]:
    """The cases, each with its results' name.

    Args:
        cases: each with ``image``, the path of a file or a list of them, whose first counts.
        onto: a further key with a file: the name becomes ``IMAGE_to_FILE``.

    Raises:
        InputError: the results of two cases would have one name; the message has the files of both.
    """
    cases = cases if isinstance(cases, CaseList) else list(cases)
    key = "image" if onto is None else "moving"
    files = [_first(case[key]) for case in cases]
    names = [_without_suffix(name) for name in _from_common_folder(files)]
    if onto is not None:
        names = [f"{name}_to_{base_name(case[onto])}" for name, case in zip(names, cases, strict=True)]
    _refuse_equal(names, [_shown(case, key, onto) for case in cases])
    named = iter(names)
    return flat_map(cases, lambda case: [{**case, OUTPUT_NAME: next(named)}])


def _first(files: Any) -> str:
    return str(files[0] if isinstance(files, list | tuple) else files)


def _without_suffix(name: str) -> str:
    return (Path(name).parent / base_name(name)).as_posix()


def _shown(case: Mapping[str, Any], key: str, onto: str | None) -> str:
    return _first(case[key]) if onto is None else f"{_first(case[key])} onto {case[onto]}"


def _refuse_equal(names: Sequence[str], shown: Sequence[str]) -> None:
    first: dict[str, str] = {}
    for name, file in zip(names, shown, strict=True):
        other = first.setdefault(name, file)
        if other != file:
            raise InputError(
                f"{other} and {file}: the results of both would be called {name}, one overwriting the other; "
                "rename one, or predict them in two runs with an --output_dir each. Nothing was written"
            )


def output_path(folder: str | Path, case: Mapping[str, Any], file: str | Path, ending: str) -> Path:
    """Where a result of a case goes.

    Args:
        folder: of the results.
        case: with its results' name, unless a program made it that knows nothing of these.
        file: the case's own.
        ending: of the result's name, such as ``_seg.nii.gz``.

    Raises:
        InputError: the result would overwrite ``file``.
    """
    target = Path(folder) / f"{case.get(OUTPUT_NAME) or base_name(file)}{ending}"
    if target.exists() and Path(file).exists() and target.samefile(file):
        raise InputError(
            f"{target}: is the image itself, which its result would overwrite; give another --output_dir "
            "or --output_postfix"
        )
    return target
