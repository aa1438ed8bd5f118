"""The weights of a packed bundle: tensors and nothing else, and the plan beside them is theirs."""

from __future__ import annotations

import zipfile
from pathlib import Path

from common.checkpoints.staging import PLAN, WEIGHTS, find_plan, foreign_plan
from common.checkpoints.stamp import plan_digest, stamp_of
from common.checkpoints.state_file import read_outline
from common.errors import InputError
from common.json_file import parse_json
from common.registry.archive import read_text

__all__ = ["check_models", "check_packed_models"]


def check_models(folder: Path) -> None:
    """Check ``model.pt`` and ``plan.json`` of a bundle's ``models/``, if there are any.

    Raises:
        InputError: the weights are no bare state dict, or the plan is not that of the weights.
    """
    weights = folder / WEIGHTS
    if weights.is_file():
        read_outline(weights)
        find_plan(weights, warn=False)


def check_packed_models(archive: zipfile.ZipFile, name: str) -> None:
    """The same for a zip, in which they are read without being unpacked.

    Raises:
        InputError: as :func:`check_models`.
    """
    held = set(archive.namelist())
    weights, plan = f"{name}/models/{WEIGHTS}", f"{name}/models/{PLAN}"
    if weights not in held:
        return
    shown = f"{archive.filename}: {weights}"
    with archive.open(weights) as file:
        stamp = stamp_of(read_outline(file, shown))
    if stamp is None or stamp.plan is None:
        return
    if plan not in held:
        raise foreign_plan(shown, stamp, f"and {plan} is not there")
    text = read_text(archive, plan)
    try:
        found = plan_digest(parse_json(text))
    except (ValueError, AttributeError) as error:
        raise InputError(f"{archive.filename}: {plan} is not JSON ({error})") from error
    if found != stamp.plan:
        raise foreign_plan(shown, stamp, f"but {plan} is another plan")
