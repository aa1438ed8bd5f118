"""A MONAI config as a tree: its leaves, its components, and what a component's target takes.

A path joins keys by ``::``, as MONAI's own resolver does; items of a list are numbered.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pydoc import locate
from typing import Any

from monai.bundle.config_item import ConfigComponent

__all__ = ["components", "inside", "is_expression", "leaves", "parameters_of", "target_of"]


def inside(node: Any) -> Iterator[tuple[Any, Any]]:
    """Keys and values of a mapping, numbers and items of a list, nothing of a leaf."""
    if isinstance(node, Mapping):
        yield from node.items()
    elif isinstance(node, list):
        yield from enumerate(node)


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Path, holder and key of every leaf; the names in a path are those that an overlay changes."""
    for key, value in inside(node):
        name = str(key).lstrip("+~").replace("#", "::")  # overlays name what they change: "train#trainer"
        full = f"{path}::{name}" if path else name
        if isinstance(value, Mapping | list):
            yield from leaves(value, full)
        else:
            yield full, node, key


def components(node: Any, path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Path and node of every mapping with a ``_target_``."""
    if isinstance(node, Mapping) and "_target_" in node:
        yield path, node
    for key, value in inside(node):
        yield from components(value, f"{path}::{key}" if path else str(key))


def is_expression(value: Any) -> bool:
    """Whether MONAI evaluates the value: an expression, a reference, or a macro."""
    return isinstance(value, str) and value.startswith(("$", "@", "%"))


@cache
def target_of(name: str) -> Any:
    """What a ``_target_`` names; None where it leads nowhere."""
    return locate(ConfigComponent(config={"_target_": name}, id="").resolve_module_name())


def parameters_of(target: Callable[..., Any]) -> dict[str, inspect.Parameter] | None:
    """The parameters of a target; None for built-in functions without a signature."""
    try:
        return dict(inspect.signature(target).parameters)
    except (TypeError, ValueError):
        return None
