"""The recipe of a bundle and the parts under it, as read from their files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import InputError
from common.json_file import read_json

__all__ = ["PARTS", "Layer", "layers_of", "pins_of"]

PARTS = Path(__file__).resolve().parent / "parts"

Section = dict[str, Any]


@dataclass(frozen=True)
class Layer:
    """A part or a recipe: its file, for messages, and its sections by name."""

    source: str
    sections: dict[str, Section]


def layers_of(recipe: Path, parts: Path = PARTS) -> list[Layer]:
    """The parts that a recipe names in ``on``, then the recipe.

    Args:
        recipe: ``bundles/<name>/recipe.json``.
        parts: the folder of parts.

    Raises:
        InputError: a file is not JSON of the right form, or ``on`` names a part that does not exist.
    """
    own = _layer(recipe, f"bundles/{recipe.parent.name}/recipe.json")
    names = own.sections.pop("on", [])
    known = sorted(path.stem for path in parts.glob("*.json"))
    for name in names:
        if name not in known:
            raise InputError(f"{own.source}: on: no part is called {name}; there are: {', '.join(known)}")
    return [*(_layer(parts / f"{name}.json", f"common/recipes/parts/{name}.json") for name in names), own]


def pins_of(requirements: Path) -> dict[str, str]:
    """Package -> version, from the lines ``package==version``."""
    return dict(re.findall(r"^([\w.-]+)==(\S+)", requirements.read_text(encoding="utf-8"), re.MULTILINE))


def _layer(path: Path, source: str) -> Layer:
    try:
        sections = read_json(path)
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise InputError(f"{source}: is not JSON ({error})") from error
    if not isinstance(sections, dict):
        raise InputError(f"{source}: expected a mapping of sections, found a {type(sections).__name__}")
    for name, section in sections.items():
        if not isinstance(section, list if name == "on" else dict):
            expected = "a list of parts" if name == "on" else "a mapping"
            raise InputError(f"{source}: {name} is a {type(section).__name__}; expected {expected}")
    return Layer(source, sections)
