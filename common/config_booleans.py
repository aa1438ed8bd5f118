"""Words for booleans in a config: ``--resume no`` on the command line of ``python -m monai.bundle run``.

MONAI hands a word over as text, and text counts as true.  What is a boolean in a config is known: its
files have true or false there, or the argument it becomes is annotated ``bool``.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pydoc import locate
from typing import Any

from monai.bundle.config_item import ConfigComponent

from common.commands import as_boolean

__all__ = ["read_booleans"]


def read_booleans(config: Any, files: Sequence[Mapping[str, Any]]) -> bool:
    """Replace words for booleans in a config with booleans.

    Args:
        config: the config with overrides applied; changed in place.
        files: all configs of the bundle, as written.

    Returns:
        Whether something was changed.

    Raises:
        InputError: a word is not a boolean; the message names the key and what is accepted.
    """
    paths, arguments = _booleans_of(files), _boolean_arguments(config)
    changed = False
    for path, holder, key in list(_leaves(config, "")):
        value = holder[key]
        given = isinstance(value, str) and not value.startswith(("$", "@", "%"))
        if path in paths:  # a key of ours, where a number or None is as wrong as another word
            given = given or value is None or (isinstance(value, int | float) and not isinstance(value, bool))
        if given and (path in paths or path in arguments):
            holder[key] = as_boolean(value, f"config: {path.replace('::', '#')} is")
            changed = True
    return changed


def _leaves(node: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Path, holder and key of every leaf."""
    inside = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ()
    for key, value in inside:
        name = str(key).lstrip("+~").replace("#", "::")  # overlays name what they change: "train#trainer"
        full = f"{path}::{name}" if path else name
        if isinstance(value, Mapping | list):
            yield from _leaves(value, full)
        else:
            yield full, node, key


def _booleans_of(files: Sequence[Mapping[str, Any]]) -> set[str]:
    """The paths where the files say true or false, and otherwise nothing but expressions."""
    found: set[str] = set()
    others: set[str] = set()
    for file in files:
        for path, holder, key in _leaves(file, ""):
            value = holder[key]
            if isinstance(value, bool):
                found.add(path)
            elif not (isinstance(value, str) and value.startswith(("$", "@", "%"))):
                others.add(path)
    return found - others


def _boolean_arguments(config: Any) -> set[str]:
    """The paths of arguments that are annotated ``bool``, and of the keys that such arguments refer to."""
    found: set[str] = set()
    for path, node in _components(config, ""):
        for key in set(node) & _annotated_bool(node):
            value = node[key]
            refers = isinstance(value, str) and value.startswith("@")
            found.add(value[1:].replace("#", "::") if refers else f"{path}::{key}")
    return found


def _components(node: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(node, Mapping) and isinstance(node.get("_target_"), str):
        yield path, node
    inside = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ()
    for key, value in inside:
        yield from _components(value, f"{path}::{key}" if path else str(key))


def _annotated_bool(node: Mapping[str, Any]) -> frozenset[str]:
    if node["_target_"].startswith(("$", "@")):
        return frozenset()
    return _booleans_of_target(node["_target_"])


@cache
def _booleans_of_target(target: str) -> frozenset[str]:
    name = ConfigComponent(config={"_target_": target}, id="").resolve_module_name()
    try:
        parameters = inspect.signature(locate(name)).parameters  # type: ignore[arg-type]
    except (TypeError, ValueError):  # nothing there, or a built-in function without a signature
        return frozenset()
    return frozenset(name for name, one in parameters.items() if one.annotation in (bool, "bool"))
