"""Write a bundle as one zip that needs no checkout: ``<name>_v<version>.zip`` with top folder ``<name>/``.

The same files give the same bytes, everywhere: members are sorted, dates and modes fixed, and nothing
is compressed, since the output of Deflate differs between builds of zlib (and weights hardly shrink).
"""

from __future__ import annotations

import ast
import io
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from common.bundles import bundle_folder
from common.checkpoints.staging import PLAN, WEIGHTS, settle
from common.datasets.plan.plan_file import read_plan
from common.errors import InputError
from common.files import atomic_path
from common.folder_lock import locked
from common.json_file import read_json
from common.registry.entries import zip_name
from common.registry.weights import check_models, weights_to_pack

__all__ = ["pack"]

Content = Path | bytes

_ROOT = Path(__file__).resolve().parents[2]
_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold
_BENCH = ("common/new/", "common/recipes/", "common/registry/")  # make bundles; no bundle needs them
_REQUIRED = ("LICENSE", "configs/metadata.json", "configs/inference.json", "docs/README.md")

# Becomes <name>/_packed.py; the package's __init__.py imports it before anything else.
_GUARD = '''"""Written by packing: refuse another ``common`` than the one in this bundle's own folder."""

import common

COMMON_VERSION = "{version}"

if getattr(common, "__version__", None) != COMMON_VERSION:
    raise ImportError(
        f"{name} was packed with common {{COMMON_VERSION}}, but this process already uses common "
        f"{{getattr(common, '__version__', '(of somebody else)')}} from {{common.__file__}}; "
        "run the two in separate processes, or get bundles that were packed with one version"
    )
'''


def pack(name: str, target: str | Path = "dist", *, root: str | Path = _ROOT) -> Path:
    """Write the zip of a bundle and return its path.

    Args:
        name: of the bundle.
        target: folder for the zip; made if absent.
        root: the checkout.

    Raises:
        InputError: no such bundle, its files or its metadata are incomplete, its weights are no weights or
            have another plan beside them, its plan is none, or the folder cannot be written; nothing is
            written then.
    """
    root = Path(root)
    folder = bundle_folder(name, root=root)
    metadata = _metadata_of(folder)
    version = str(metadata.get("version"))
    path = Path(target) / zip_name(name, version)
    if version not in metadata.get("changelog", {}):
        raise InputError(f"{folder}/configs/metadata.json: version {version} has no entry in changelog")
    weights = weights_to_pack(folder / "models", _settings_of(folder))
    for file in (folder / "models" / WEIGHTS, *weights):
        settle(file)
    members = _members(folder, name, root / "common", weights)
    for file in members:
        if file.startswith("models/") and file.endswith(f"/{PLAN}"):
            read_plan(folder / file)
    check_models(weights)
    with locked(path.parent, "packing"), atomic_path(path, durable=True) as temporary:
        _write(temporary, {f"{name}/{file}": content for file, content in members.items()})
    return path


def _metadata_of(folder: Path) -> dict[str, Any]:
    for file in _REQUIRED:
        if not (folder / file).is_file():
            raise InputError(f"{folder / file}: there is no such file; a packed bundle needs it")
    return _read(folder / "configs" / "metadata.json")


def _settings_of(folder: Path) -> list[str]:
    """The trainings that a prediction averages, if there are several."""
    return list(_read(folder / "configs" / "inference.json").get("settings", {}))


def _read(config: Path) -> dict[str, Any]:
    try:
        return read_json(config)
    except ValueError as error:
        raise InputError(f"{config}: is not JSON ({error})") from error


def _members(folder: Path, name: str, common: Path, weights: Sequence[Path]) -> dict[str, Content]:
    """Path in the bundle -> what it holds."""
    if not (folder / name / "__init__.py").is_file():
        raise InputError(f"{folder / name}: a bundle needs a Python package of its own name")
    members: dict[str, Content] = {"LICENSE": folder / "LICENSE"}
    for part in ("configs", "docs", name):
        members |= _files(folder / part, part)
    members |= _models(folder, weights)
    members |= _files(common, "common")
    members = {
        file: content
        for file, content in members.items()
        if not file.startswith(_BENCH) and (isinstance(content, bytes) or content.is_file())
    }
    init = (folder / name / "__init__.py").read_text(encoding="utf-8")
    guard = _GUARD.format(name=name, version=_version_of(common / "__init__.py"))
    return members | {f"{name}/__init__.py": _guarded(init, name), f"{name}/_packed.py": guard.encode()}


def _models(folder: Path, weights: Sequence[Path]) -> dict[str, Content]:
    """Weights and plans; what else a training leaves is not packed."""
    files = [file for one in weights for file in (one, one.with_name(PLAN))] or [folder / "models" / PLAN]
    return {file.relative_to(folder).as_posix(): file for file in files}


def _files(folder: Path, prefix: str) -> dict[str, Content]:
    """The files below a folder without caches, hidden files and backups of editors."""
    found: dict[str, Content] = {}
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        left_out = any(part.startswith(".") or part == "__pycache__" for part in parts)
        if path.is_file() and not left_out and not path.name.endswith((".pyc", "~", ".orig", ".rej")):
            found["/".join((prefix, *parts))] = path
    return found


def _version_of(init: Path) -> str:
    """``__version__`` as the file assigns it; the file is not run."""
    for node in ast.parse(init.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__version__":
            return str(ast.literal_eval(node.value))
    raise InputError(f"{init}: assigns no __version__")


def _guarded(init: str, name: str) -> bytes:
    """The package's ``__init__.py`` with the guard before its first import."""
    after = 0
    for node in ast.parse(init).body:
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not docstring and not (isinstance(node, ast.ImportFrom) and node.module == "__future__"):
            break
        after = node.end_lineno or 0
    lines = init.splitlines()
    return "\n".join([*lines[:after], "", f"from {name} import _packed", *lines[after:], ""]).encode()


def _write(path: Path, members: dict[str, Content]) -> None:
    with path.open("wb") as target:
        _write_zip(target, members)


def _write_zip(target: BinaryIO, members: dict[str, Content]) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            content = members[name]
            info = zipfile.ZipInfo(name, _DATE)
            info.create_system = 3  # Unix, whatever the machine: the mode below is read only then
            info.external_attr = 0o100644 << 16
            info.file_size = len(content) if isinstance(content, bytes) else content.stat().st_size
            source = io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")
            with source, archive.open(info, "w") as file:
                shutil.copyfileobj(source, file, 1 << 20)
