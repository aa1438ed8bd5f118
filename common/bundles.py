"""Where bundles are, and how one is built from its configs outside of ``monai.bundle run``."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

from common.errors import InputError

__all__ = ["bundle_folder", "bundle_names", "bundle_package", "parse_config"]

_ROOT = Path(__file__).resolve().parents[1]


def _folders(root: Path) -> dict[str, Path]:
    """Name -> folder: the bundles of a checkout, or the one bundle that this copy was packed with."""
    found = {path.parents[1].name: path.parents[1] for path in root.glob("bundles/*/configs/metadata.json")}
    if (root / "configs" / "metadata.json").is_file():  # unpacked: the folder may have any name
        packages = (path.parent.name for path in root.glob("*/__init__.py"))
        found |= {name: root for name in packages if name != "common"}
    return found


def bundle_names() -> list[str]:
    """The names of the bundles at hand, sorted."""
    return sorted(_folders(_ROOT))


def bundle_folder(name: str, *, root: Path | None = None) -> Path:
    """The folder of a bundle.

    Args:
        name: of the bundle.
        root: the folder that holds ``common``; found by itself.

    Raises:
        InputError: no bundle has this name.
    """
    folders = _folders(root or _ROOT)
    if name not in folders:
        valid = ", ".join(sorted(folders)) or "(none here)"
        raise InputError(f"bundle {name}: unknown; expected one of: {valid}")
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
