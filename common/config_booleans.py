"""Words for booleans in a config: ``--resume no`` on the command line of ``python -m monai.bundle run``.

MONAI hands a word over as text, and text counts as true.  What is a boolean in a config is known: its
files have true or false there, or the argument it becomes is annotated ``bool``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from common.commands import as_boolean
from common.config_walk import components, is_expression, leaves, parameters_of, target_of

__all__ = ["read_booleans"]

#: Further words that a key takes, and whatever refers to it.
_FURTHER_WORDS = {"resume": ("force",)}


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
    for path, holder, key in list(leaves(config)):
        value = holder[key]
        given = isinstance(value, str) and not is_expression(value)
        if path in paths:  # a key of ours, where a number or None is as wrong as another word
            given = given or value is None or (isinstance(value, int | float) and not isinstance(value, bool))
        further = _FURTHER_WORDS.get(path, ())
        if given and str(value).strip().lower() in further:
            holder[key], changed = value.strip().lower(), True
        elif given and (path in paths or path in arguments):
            holder[key] = as_boolean(value, f"config: {path.replace('::', '#')} is", further)
            changed = True
    return changed


def _booleans_of(files: Sequence[Mapping[str, Any]]) -> set[str]:
    """The paths where the files say true or false, and otherwise nothing but expressions."""
    found: set[str] = set()
    others: set[str] = set()
    for file in files:
        for path, holder, key in leaves(file):
            value = holder[key]
            if isinstance(value, bool):
                found.add(path)
            elif not is_expression(value):
                others.add(path)
    return found - others


def _boolean_arguments(config: Any) -> set[str]:
    """The paths of arguments that are annotated ``bool``, and of the keys that such arguments refer to."""
    found: set[str] = set()
    for path, node in components(config):
        for key in set(node) & _annotated_bool(node):
            value = node[key]
            refers = isinstance(value, str) and value.startswith("@")
            found.add(value[1:].replace("#", "::") if refers else f"{path}::{key}")
    return found


def _annotated_bool(node: Mapping[str, Any]) -> frozenset[str]:
    name = node["_target_"]
    return _booleans_of_target(name) if isinstance(name, str) and not is_expression(name) else frozenset()


@cache
def _booleans_of_target(name: str) -> frozenset[str]:
    parameters = parameters_of(target_of(name)) or {}
    return frozenset(key for key, one in parameters.items() if one.annotation in (bool, "bool"))
