"""Check that a zip is a bundle as ``pack`` writes it, and the one that an index names."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.datasets.plan.plan_file import parse_plan
from common.errors import InputError
from common.registry.archive import (
    check_members,
    common_version,
    digests,
    open_zip,
    read_metadata,
    read_text,
)
from common.registry.entries import split_key, zip_name
from common.registry.weights import check_packed_models

__all__ = ["require_digest", "verify"]

_REQUIRED = ("LICENSE", "configs/inference.json", "docs/README.md", "common/__init__.py")


def verify(path: str | Path, entry: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Check a packed bundle without unpacking it and return its ``metadata.json``.

    Args:
        path: ``<name>_v<version>.zip``.
        entry: of an index, whose digests the zip must then have.

    Raises:
        InputError: the first thing that is wrong.
    """
    path = Path(path)
    name, version = split_key(path.stem)
    with open_zip(path) as archive:
        check_members(archive, name)
        metadata = read_metadata(archive, name)
        if path.name != zip_name(name, str(metadata.get("version"))):
            raise InputError(
                f"{path}: configs/metadata.json says version {metadata.get('version')}, "
                f"the file's name says {version}"
            )
        _check_files(archive, name)
        damaged = archive.testzip()
        if damaged:
            raise InputError(f"{path}: {damaged} is damaged; fetch or pack it again")
        for plan in archive.namelist():
            if plan.startswith(f"{name}/models/") and plan.endswith("/plan.json"):
                parse_plan(read_text(archive, plan), f"{path}: {plan}")
        check_packed_models(archive, name)
    if entry is not None:
        require_digest(path, entry)
    return metadata


def _check_files(archive: zipfile.ZipFile, name: str) -> None:
    held = set(archive.namelist())
    for file in (*_REQUIRED, f"{name}/__init__.py"):
        if f"{name}/{file}" not in held:
            raise InputError(f"{archive.filename}: has no {name}/{file}")
    asked, carried = common_version(archive, name)
    if not asked or asked != carried:
        raise InputError(
            f'{archive.filename}: packed with common "{asked}" but carries "{carried}"; pack it again'
        )


def require_digest(path: str | Path, entry: Mapping[str, Any], shown: str = "") -> None:
    """Compare a file with its entry.

    Args:
        path: the file.
        entry: of an index.
        shown: what to call the file in messages; the path by default.

    Raises:
        InputError: size, SHA-256 or (where given) SHA-1 differ.
    """
    found = digests(path)
    for key, value in found.items():
        if entry.get(key, value) != value or (key == "sha256" and key not in entry):
            raise InputError(
                f"{shown or path}: {key} is {value}, the index says {entry.get(key)}; "
                "the file or the index was changed or damaged: nothing of it was used"
            )
