"""The generated files of a checkout: configs, index, and the README's table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from common.errors import InputError
from common.files import write_text
from common.recipes.compact import compact
from common.recipes.compose import configs_of
from common.recipes.difference import first_difference
from common.recipes.layers import PARTS, pins_of
from common.recipes.overview import index_of, with_table

__all__ = ["bundles_with_recipe", "configs_as_text", "differences", "lists_as_text", "write"]

ROOT = Path(__file__).resolve().parents[2]


def bundles_with_recipe(root: Path = ROOT) -> list[str]:
    """Names of the bundles, sorted."""
    return sorted(path.parent.name for path in root.glob("bundles/*/recipe.json"))


def configs_as_text(name: str, root: Path = ROOT, parts: Path = PARTS) -> dict[Path, str]:
    """File -> text of all configs of a bundle.

    Raises:
        InputError: no such bundle, or its recipe breaks a rule.
    """
    known = bundles_with_recipe(root)
    if name not in known:
        raise InputError(f"bundle {name}: has no recipe; there are: {', '.join(known)}")
    folder = root / "bundles" / name
    configs = configs_of(folder / "recipe.json", pins_of(root / "requirements.txt"), parts)
    return {folder / "configs" / f"{kind}.json": compact(config) for kind, config in configs.items()}


def lists_as_text(configs: Mapping[Path, str], root: Path = ROOT) -> dict[Path, str]:
    """File -> text of the files that list all bundles; metadata not in ``configs`` are read from disk."""
    bundles = {}
    for name in bundles_with_recipe(root):
        file = root / "bundles" / name / "configs" / "metadata.json"
        if file in configs or file.is_file():
            bundles[name] = json.loads(configs.get(file) or file.read_text(encoding="utf-8"))
    page = root / "README.md"
    return {
        root / "bundle_index.json": index_of(bundles),
        page: with_table(page.read_text(encoding="utf-8"), bundles, _pictured(root)),
    }


def _pictured(root: Path) -> set[str]:
    return {path.parents[1].name for path in root.glob("bundles/*/docs/thumbnail.png")}


def write(texts: Mapping[Path, str]) -> list[Path]:
    """Write the files that differ from their texts; returns these files."""
    changed = [file for file, text in texts.items() if not file.is_file() or _read(file) != text]
    for file in changed:
        write_text(file, texts[file])
    return changed


def differences(texts: Mapping[Path, str], root: Path = ROOT) -> list[str]:
    """A line for every file that differs from its text, and for every config without a section."""
    found = []
    for file, text in texts.items():
        parted = _difference(file, text)
        if parted:
            found.append(f"{_source(file, root)}: {parted}")
    folders = {file.parent for file in texts if file.parent.name == "configs"}
    left = sorted(file for folder in folders for file in folder.glob("*.json") if file not in texts)
    return found + [f"{_source(file, root)}: has no section for configs/{file.name}" for file in left]


def _difference(file: Path, text: str) -> str | None:
    short = f"configs/{file.name}: " if file.parent.name == "configs" else ""
    if not file.is_file():
        return f"{short}the file is missing"
    had = _read(file)
    if had == text:
        return None
    if file.suffix != ".json":
        return f"{short}the table of bundles is not what their metadata give"
    try:
        parted = first_difference(json.loads(had), json.loads(text))
    except json.JSONDecodeError as error:
        parted = f"is not JSON ({error})"
    return short + (parted or "is laid out otherwise")


def _source(file: Path, root: Path) -> str:
    """What to edit: the recipe for a config, any other file itself."""
    is_config = file.parent.name == "configs"
    return str((file.parents[1] / "recipe.json" if is_config else file).relative_to(root))


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8")
