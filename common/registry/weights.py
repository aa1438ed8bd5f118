"""The weights of a packed bundle: tensors and nothing else, and the plan beside them is theirs."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

from common.checkpoints.staging import PLAN, WEIGHTS, find_plan
from common.checkpoints.state_file import read_outline
from common.errors import InputError
from common.registry.archive import copy_member

__all__ = ["check_models", "check_packed_models"]


def check_models(folder: Path) -> None:
    """Check ``model.pt`` and ``plan.json`` of a bundle's ``models/``, if there are any.

    Raises:
        InputError: the weights are no bare state dict, or the plan is not that of the weights.
    """
    weights = folder / WEIGHTS
    if weights.is_file():
        read_outline(weights)
        find_plan(weights)


def check_packed_models(archive: zipfile.ZipFile, name: str) -> None:
    """The same for a zip; its members lie in a temporary folder meanwhile.

    Raises:
        InputError: as :func:`check_models`.
    """
    held = set(archive.namelist())
    with tempfile.TemporaryDirectory(prefix="method-zoo-") as temporary:
        for file in (WEIGHTS, PLAN):
            member = f"{name}/models/{file}"
            if member in held:
                copy_member(archive, member, Path(temporary) / file)
        try:
            check_models(Path(temporary))
        except InputError as error:
            told = str(error).replace(f"{temporary}/", f"{name}/models/")
            raise InputError(f"{archive.filename}: {told}") from error
