"""Modules that a new bundle copies from the one that it is modelled on.

Where no part covers a kind of data, the first bundle's own package reads, scores and writes it, and a second
bundle may not import that.  It begins with a copy, and the copy is a gap: what both need has to move to
``common`` before the second one is merged.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from pathlib import Path

__all__ = ["borrowed_modules", "renamed"]

_NOTE = "# to fill: {like} has the same module; move what both need to common, and delete this copy\n"


def renamed(text: str, old: str, new: str) -> str:
    """The text with the package renamed; references to the other bundle's method page are kept."""
    return re.sub(rf"\b{old}\b(?!/docs/method\.md)", new, text)


def borrowed_modules(package: Path, text: str, name: str) -> dict[str, str]:
    """File name -> text of the modules that a recipe names, and of those that they import.

    Args:
        package: the other bundle's package.
        text: the new bundle's recipe, which names the new package.
        name: name of the new package.
    """
    todo = [module for module in re.findall(rf"\b{name}\.(\w+)", text) if module != "network"]
    found: dict[str, str] = {}
    while todo:
        module = todo.pop()
        file = package / f"{module}.py"
        if f"{module}.py" in found or not file.is_file():
            continue
        source = file.read_text(encoding="utf-8")
        found[f"{module}.py"] = _NOTE.format(like=package.name) + renamed(source, package.name, name)
        todo += _imported(source, package.name)
    return dict(sorted(found.items()))


def _imported(source: str, package: str) -> Iterable[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            head, _, module = node.module.partition(".")
            if head == package:
                yield from [module] if module else [alias.name for alias in node.names]
