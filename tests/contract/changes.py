"""Changes of a config, one at a time, each of which a recipe's table must notice."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser
from monai.bundle.utils import merge_kv

from tests.contract.recipe_table import Section, named
from tests.contract.resolved import Resolved, leaves, name_of, read

__all__ = ["changed_leaves", "removed_keys"]


def changed_leaves(section: Section, raw: dict[str, Any]) -> Iterator[tuple[str, Resolved]]:
    """Each covered leaf changed, and each list that holds one without its last item."""
    merged = Resolved(raw)
    paths = [path for path in (named(place, merged) for place, _ in leaves(raw)) if section.covers(path)]
    lists = {path.rpartition("#")[0] for path in paths if path.rpartition("#")[2].isdigit()}
    for path in paths:
        yield path, Resolved(_with(raw, path, changed))
    for path in sorted(lists):
        yield f"{path} without its last item", Resolved(_with(raw, path, lambda items: items[:-1]))


def changed(value: Any) -> Any:
    """Another value of its type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value * 2 if value else 1
    if isinstance(value, str):
        return f"{value.removeprefix('$').removeprefix('@')}_changed"
    return "changed" if value is None else [*value, "changed"] if isinstance(value, list) else {"changed": 1}


def _with(raw: dict[str, Any], path: str, change: Any) -> dict[str, Any]:
    """A copy in which one node has another value; only what lies above it is copied."""
    steps = path.split("#")
    top = node = copy.copy(raw)
    for step in steps[:-1]:
        key = _key(node, step)
        node[key] = copy.copy(node[key])
        node = node[key]
    key = _key(node, steps[-1])
    node[key] = change(node[key])
    return top


def _key(node: Any, step: str) -> Any:
    if not isinstance(node, list):
        return step
    if step.isdigit():
        return int(step)
    return next(i for i, item in enumerate(node) if name_of(item) == step)


def removed_keys(section: Section, folder: Path) -> Iterator[tuple[str, Resolved]]:
    """The overlay without one of its keys, where the config below says something else."""
    *below, last = section.configs
    overlay = json.loads((folder / f"{last}.json").read_text())
    whole = read(folder, section.configs)
    for removed in overlay:
        path = removed.lstrip("+").replace("::", "#")
        if not (section.covers(path) or any(row.startswith(f"{path}#") for row in section.rows)):
            continue
        parser = ConfigParser(read(folder, below))
        for key, value in overlay.items():
            if key != removed:
                merge_kv(parser, key, value)
        if parser.get() != whole:
            yield f"no {removed} in {last}.json", Resolved(parser.get())
