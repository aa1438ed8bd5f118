"""The weights of a packed bundle: tensors and nothing else, and the plan beside them is theirs.

They are ``models/model.pt`` or, in a bundle without it, those of the folds, in ``models/fold_<number>/``.
A bundle that averages several trainings names them under ``settings`` in ``inference.json``: the weights of
each may lie in ``models/<name>/``, whole or in folds.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable
from pathlib import Path

from common.checkpoints.folds import fold_weights
from common.checkpoints.staging import PLAN, WEIGHTS, find_plan, foreign_plan
from common.checkpoints.stamp import plan_digest, stamp_of
from common.checkpoints.state_file import read_outline
from common.errors import InputError
from common.json_file import parse_json
from common.registry.archive import read_text

__all__ = ["check_models", "check_packed_models", "packed_weights", "weights_to_pack"]


def weights_to_pack(folder: Path, settings: Iterable[str] = ()) -> list[Path]:
    """The weights of a bundle's ``models/`` that a prediction would use; may be none.

    Args:
        folder: ``models/``.
        settings: names of the trainings that a prediction averages.
    """
    return [file for one in (folder, *(folder / name for name in settings)) for file in _weights_in(one)]


def _weights_in(folder: Path) -> list[Path]:
    whole = folder / WEIGHTS
    return [whole] if whole.is_file() else fold_weights(folder)


def packed_weights(archive: zipfile.ZipFile, name: str) -> list[str]:
    """The names of the weights in a zip."""
    pattern = rf"{re.escape(name)}/models/(\w+/)?(fold_\d+/)?{re.escape(WEIGHTS)}"
    return [member for member in archive.namelist() if re.fullmatch(pattern, member)]


def check_models(files: Iterable[Path]) -> None:
    """Check weights and the plans beside them.

    Raises:
        InputError: weights are no bare state dict, or a plan is not that of the weights.
    """
    for weights in files:
        read_outline(weights)
        find_plan(weights, warn=False)


def check_packed_models(archive: zipfile.ZipFile, name: str) -> None:
    """The same for a zip, in which they are read without being unpacked.

    Raises:
        InputError: as :func:`check_models`.
    """
    for weights in packed_weights(archive, name):
        _check_packed(archive, weights)


def _check_packed(archive: zipfile.ZipFile, weights: str) -> None:
    plan = f"{weights.removesuffix(WEIGHTS)}{PLAN}"
    shown = f"{archive.filename}: {weights}"
    with archive.open(weights) as file:
        stamp = stamp_of(read_outline(file, shown))
    if stamp is None or stamp.plan is None:
        return
    if plan not in archive.namelist():
        raise foreign_plan(shown, stamp, f"and {plan} is not there")
    text = read_text(archive, plan)
    try:
        found = plan_digest(parse_json(text))
    except (ValueError, AttributeError) as error:
        raise InputError(f"{archive.filename}: {plan} is not JSON ({error})") from error
    if found != stamp.plan:
        raise foreign_plan(shown, stamp, f"but {plan} is another plan")
