"""The files of a run beside its weights, and where a new run keeps its own until it has weights.

A folder ``models/`` holds ``model.pt``, the ``plan.json`` that it was trained with and the run's
``checkpoint.pt``.  A run that finds another run's files there writes its own to ``models/unfinished/``.
When it has its first weights, the earlier run's files are set aside, ``model.pt`` is replaced, and the other
files follow.  A process killed between these steps leaves weights whose stamp names the plan in
``unfinished/``; :func:`find_plan` takes that one, and :func:`settle` ends what was begun.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from common.checkpoints.stamp import Stamp, plan_digest, read_stamp
from common.errors import InputError
from common.files import atomic_folder, atomic_path

__all__ = [
    "CHECKPOINT",
    "PLAN",
    "WEIGHTS",
    "discard",
    "find_plan",
    "foreign_plan",
    "is_taken",
    "promote",
    "set_aside",
    "settle",
    "staged",
    "staged_in",
]

logger = logging.getLogger(__name__)

WEIGHTS, PLAN, CHECKPOINT = "model.pt", "plan.json", "checkpoint.pt"
_UNFINISHED = "unfinished"


def staged(path: str | Path) -> Path:
    """Where a run keeps a file until it has weights: ``models/unfinished/plan.json``."""
    path = Path(path)
    return path.parent / _UNFINISHED / path.name


def staged_in(folder: str | Path) -> list[Path]:
    """The places in a folder for which files are staged."""
    folder = Path(folder)
    return [folder / file.name for file in sorted((folder / _UNFINISHED).glob("*"))]


def is_taken(folder: str | Path) -> bool:
    """Whether a run has left weights or a checkpoint in a folder."""
    return any((Path(folder) / name).is_file() for name in (WEIGHTS, CHECKPOINT))


def promote(path: str | Path) -> bool:
    """Move a staged file to its place, replacing what is there; False where none is staged."""
    path = Path(path)
    if not staged(path).is_file():
        return False
    os.replace(staged(path), path)
    _remove_if_empty(path.parent / _UNFINISHED)
    return True


def discard(path: str | Path) -> None:
    """Remove what is staged for a file."""
    staged(path).unlink(missing_ok=True)
    _remove_if_empty(staged(path).parent)


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def settle(weights: str | Path) -> None:
    """End what a run began that was killed between its first weights and its plan."""
    weights = Path(weights)
    plan, stamp = weights.with_name(PLAN), read_stamp(weights)
    if stamp is not None and stamp.plan is not None and _digest(plan) != stamp.plan == _digest(staged(plan)):
        promote(plan)
        promote(weights.with_name(CHECKPOINT))


def set_aside(folder: str | Path, names: Iterable[str]) -> Path | None:
    """Copy files of an earlier run to ``<folder>_previous``, as hard links where the disk has them.

    What lies there already moves on to ``<folder>_previous_2`` (or the next number that is free).

    Args:
        folder: of the run.
        names: of files in it; those that are not there are left out.

    Returns:
        The new folder, whole; None where there is nothing to copy.

    Raises:
        InputError: it cannot be written.
    """
    folder = Path(folder).absolute()
    files = [folder / name for name in names if (folder / name).is_file()]
    if not files:
        return None
    target = folder.with_name(f"{folder.name}_previous")
    if target.exists():
        number = 2
        while folder.with_name(f"{target.name}_{number}").exists():
            number += 1
        target.rename(folder.with_name(f"{target.name}_{number}"))
    with atomic_folder(target) as temporary:
        for file in files:
            _link_or_copy(file, temporary / file.name)
    return target


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or one without links
        with atomic_path(target) as temporary:
            shutil.copy2(source, temporary)


def find_plan(weights: str | Path, path: str | Path | None = None, *, warn: bool = True) -> Path | None:
    """The plan that weights were trained with.

    Args:
        weights: ``models/model.pt``; it need not be there.
        path: where else a plan may lie than beside the weights.
        warn: say where it cannot be checked that a plan is that of the weights.

    Returns:
        The plan whose digest the weights carry.  Where they carry none, the plan beside them.  None where no
        plan is there.

    Raises:
        InputError: the weights carry the digest of a plan that is not there.
    """
    weights = Path(weights)
    beside = weights.with_name(PLAN)
    places = [beside, *([Path(path)] if path is not None and Path(path) != beside else [])]
    there = [place for place in places if place.is_file()]
    stamp = read_stamp(weights)
    if stamp is None or stamp.plan is None:
        if warn and there and weights.is_file():
            _warn_once(
                f"{weights}: carries no digest of a plan (imported, or written by an earlier version), so it "
                f"cannot be checked that {there[0]} is its own"
            )
        return there[0] if there else None
    for place in (*there, staged(beside)):
        if _digest(place) == stamp.plan:
            return place
    found = f"but {there[0]} is another plan" if there else f"and {beside} is not there"
    raise foreign_plan(weights, stamp, found)


def foreign_plan(weights: str | Path, stamp: Stamp, found: str) -> InputError:
    """What to say of weights without their plan; ``found`` says what there is instead."""
    return InputError(
        f"{weights}: was trained with the plan of digest {str(stamp.plan)[:12]}, {found}; put the plan.json "
        "there that was written with these weights, or the weights that were written with this plan"
    )


@cache
def _warn_once(line: str) -> None:
    logger.warning(line)


def _digest(plan: Path) -> str | None:
    """None where there is no plan, or none that can be read."""
    try:
        return plan_digest(json.loads(plan.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError):
        return None
