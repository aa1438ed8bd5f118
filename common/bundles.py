"""Where bundles are, and how one is built from its configs outside of ``monai.bundle run``."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

from common.errors import InputError

__all__ = ["bundle_folder", "bundle_names", "bundle_package", "parse_config"]

_ROOT = Path(__file__).resolve().parents[1]


def _folders() -> dict[str, Path]:
    """Name -> folder: the bundles of a checkout, or the one bundle that this copy was packed with."""
    found = {path.parents[1].name: path.parents[1] for path in _ROOT.glob("bundles/*/configs/metadata.json")}
    if not found and (_ROOT / "configs" / "metadata.json").is_file():
        found = {_ROOT.name: _ROOT}
    return found


def bundle_names() -> list[str]:
    """The names of the bundles at hand, sorted."""
    return sorted(_folders())


def bundle_folder(name: str) -> Path:
    """The folder of a bundle.

    Raises:
        InputError: no bundle has this name.
    """
    folders = _folders()
    if name not in folders:
        raise InputError(f"bundle {name!r} is not here; there are: {', '.join(sorted(folders)) or 'none'}")
    return folders[name]


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

    folder = bundle_folder(name) / "configs"
    parser = ConfigParser()
    parser.read_config(str(folder / f"{config}.json"))
    parser.read_meta(str(folder / "metadata.json"))
    parser.update(overrides)
    return parser
