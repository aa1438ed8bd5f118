"""The folds of a cross-validation: the folder of each, and the weights files that are averaged.

A training with ``--fold 2`` writes to ``models/fold_2/``.  Beside these folders may lie a ``model.pt`` that
was trained on all cases.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.checkpoints.staging import WEIGHTS, find_plan
from common.errors import InputError

__all__ = ["fold_folder", "fold_weights", "require_fold", "shown_weights", "weights_to_average"]

logger = logging.getLogger(__name__)

#: What a plan says of the data that it was made of; no prediction depends on it.
_OF_DATA = ("dataset", "cases", "run")


def require_fold(fold: int, folds: int) -> None:
    """Refuse a fold that does not exist.

    Args:
        fold: its number, from 0.
        folds: how many there are, at least 2.

    Raises:
        InputError: it is no whole number below ``folds``, or there are fewer than two folds.
    """
    if isinstance(folds, bool) or not isinstance(folds, int) or folds < 2:
        raise InputError(f"folds = {folds!r}; expected a whole number from 2 on")
    if isinstance(fold, bool) or not isinstance(fold, int) or not 0 <= fold < folds:
        raise InputError(f"fold = {fold!r}; expected a whole number from 0 to {folds - 1} (folds = {folds})")


def fold_folder(folder: str, fold: int | None, folds: int) -> str:
    """Where a run keeps its files: ``folder``, or ``folder/fold_2`` if it holds out fold 2.

    Raises:
        InputError: there is no such fold.
    """
    if fold is None:
        return folder
    require_fold(fold, folds)
    return f"{folder}/fold_{fold}"


def fold_weights(folder: str | Path) -> list[Path]:
    """The weights ``fold_<number>/model.pt`` in a folder, by number."""
    found = {_number(path): path for path in Path(folder).glob(f"fold_*/{WEIGHTS}")}
    return [found[number] for number in sorted(number for number in found if number is not None)]


def _number(weights: Path) -> int | None:
    """Which fold's weights these are by their folder's name; None for other weights."""
    match = re.fullmatch(r"fold_(\d+)", weights.parent.name)
    return int(match[1]) if match else None


def shown_weights(files: Sequence[str | Path]) -> str:
    """Several weights files in words: "2 folds: models/fold_0, models/fold_1"."""
    paths = [Path(file) for file in files]
    if all(_number(path) is not None for path in paths):
        return f"{len(paths)} folds: {', '.join(str(path.parent) for path in paths)}"
    return f"{len(paths)} weights files: {', '.join(map(str, paths))}"


def weights_to_average(path: str | Path, ensemble: str | Sequence[str | Path] | None = None) -> list[Path]:
    """The weights files whose class probabilities a prediction averages.

    Args:
        path: ``models/model.pt``.
        ensemble: None takes ``path``, or the folds beside it (:func:`fold_weights`) where there is no such
            file; "folds" takes the folds in any case; a list names the files.

    Returns:
        At least one path; ``path`` itself, which is not there, if there are no weights at all.

    Raises:
        InputError: files to average are not there or were trained with different plans, or ``ensemble`` is
            another word.
    """
    path = Path(path)
    folds = fold_weights(path.parent)
    if ensemble is None and (path.is_file() or not folds):
        if folds:
            logger.warning(
                "%s: used alone; the %d folds beside it (%s) are averaged with  --ensemble folds",
                path, len(folds), ", ".join(file.parent.name for file in folds),
            )  # fmt: skip
        return [path]
    files = folds if ensemble in (None, "folds") else _listed(ensemble)
    if not files:
        raise InputError(
            f"{path.parent}: holds no fold_0/{WEIGHTS} or the like; expected the weights of a fold at least: "
            "train with  --fold 0, or leave --ensemble out"
        )
    _require_one_plan(files)
    return files


def _listed(ensemble: Any) -> list[Path]:
    if isinstance(ensemble, str) or not isinstance(ensemble, Sequence) or not ensemble:
        raise InputError(f'ensemble = {ensemble!r}; expected "folds", or a list of weights files')
    files = [Path(file) for file in ensemble]
    for file in files:
        if not file.is_file():
            raise InputError(f"{file}: there is no such file; expected weights: correct --ensemble")
    return files


def _require_one_plan(files: Sequence[Path]) -> None:
    """Networks whose outputs are averaged voxel by voxel must have seen images prepared alike."""
    first, *others = files
    expected = _plan(first)
    for file in others:
        plan = _plan(file)
        different = [key for key in {**expected, **plan} if expected.get(key) != plan.get(key)]
        if different:
            raise InputError(
                f"{file.with_name('plan.json')}: differs from {first.with_name('plan.json')} in "
                f"{', '.join(sorted(different))}; expected folds of one data set, trained with the same "
                "options: train one anew, or move it away"
            )


def _plan(weights: Path) -> Mapping[str, Any]:
    file = find_plan(weights, warn=False)
    if file is None:
        return {}
    try:
        plan = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: cannot be read as a plan ({error}); restore it, or train again") from error
    return {key: value for key, value in plan.items() if key not in _OF_DATA}
