"""Where bundles are, and how one is built from its configs outside of ``monai.bundle run``."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

from common.errors import InputError

__all__ = ["bundle_folder", "bundle_in", "bundle_names", "bundle_package", "parse_config"]

_ROOT = Path(__file__).resolve().parents[1]


def _folders(root: Path) -> dict[str, Path]:
    """Name -> folder: the bundles of a checkout, or the one bundle that this copy was packed with."""
    found = {path.parents[1].name: path.parents[1] for path in root.glob("bundles/*/configs/metadata.json")}
    if (root / "configs" / "metadata.json").is_file():  # unpacked: the folder may have any name
        found[bundle_in(root)] = root
    return found


def bundle_names() -> list[str]:
    """The names of the bundles at hand, sorted."""
    return sorted(_folders(_ROOT))


def bundle_folder(name: str, *, root: Path | None = None) -> Path:
    """The folder of a bundle.

    Args:
        name: of the bundle.
        root: the folder that holds ``common``; the one this file is in by default.

    Raises:
        InputError: no bundle has this name.
    """
    folders = _folders(root or _ROOT)
    if name not in folders:
        valid = ", ".join(sorted(folders)) or "(none here)"
        raise InputError(f"bundle {name}: unknown; expected one of: {valid}")
    return folders[name]


def bundle_in(folder: Path) -> str:
    """The name of the bundle in a folder; the folder itself may have any name.

    Raises:
        InputError: the folder is not a bundle.
    """
    names = sorted(path.parent.name for path in folder.glob("*/__init__.py"))
    names = [name for name in names if name != "common"]
    if len(names) != 1 or not (folder / "configs").is_dir():
        raise InputError(
            f"{folder}: no bundle; expected configs/ and one Python package with the bundle's name, "
            f"found packages: {', '.join(names) or 'none'}"
        )
    return names[0]


def bundle_package(name: str, module: str) -> ModuleType:
    """A module of a bundle's own package, such as ``("cotr", "checkpoint")``.

    Raises:
        InputError: the bundle has no such module.
    """
    bundle_folder(name)
    try:
        return importlib.import_module(f"{name}.{module}")
    except ModuleNotFoundError as error:
        if error.name != f"{name}.{module}":
            raise
        raise InputError(f"bundle {name} has no module {module}.py") from error


def parse_config(name: str, config: str = "inference", **overrides: Any) -> Any:
    """The MONAI ``ConfigParser`` of ``configs/<config>.json`` with overrides, nothing built yet."""
    from monai.bundle import ConfigParser

    from common.config_booleans import read_booleans

    folder = bundle_folder(name) / "configs"
    parser = ConfigParser()
    parser.read_config(str(folder / f"{config}.json"))
    parser.read_meta(str(folder / "metadata.json"))
    parser.update(overrides)
    if overrides:
        read_booleans(parser.get(), [ConfigParser.load_config_file(file) for file in folder.glob("*.json")])
    return parser
