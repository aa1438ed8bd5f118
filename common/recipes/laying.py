"""Lay sections on one another, in MONAI's overlay language."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from common.errors import InputError
from common.recipes.finishing import NONE

__all__ = ["Config", "Writer", "with_nodes"]

Config = dict[str, Any]
#: The place of an existing key: its top-level key, the innermost mapping, and its name in that.
Place = tuple[str, Config, str]


class Writer:
    """A config in the making.

    Args:
        bases: the finished configs that an overlay applies to; a whole config has none.
        nodes: what ``_use_`` names.
        config: the config so far.
    """

    def __init__(
        self, bases: Sequence[Config], nodes: Mapping[str, Any], config: Config | None = None
    ) -> None:
        self.config: Config = {} if config is None else config
        self.bases = bases
        self.nodes = nodes

    def lay(self, section: Mapping[str, Any], where: str) -> None:
        """Lay one section on the config so far; ``where`` is its name in messages.

        Raises:
            InputError: a key changes or extends what does not exist, or what is of another kind.
        """
        places = [self._place(key) for key in section]
        behind, before = None, next((place[0] for place in places if place), None)
        for key, value in section.items():
            value = with_nodes(value, self.nodes, f"{where}#{key}")
            behind = self._put(key, value, behind, before, f"{where}: {key}")

    def _place(self, key: str) -> Place | None:
        return _find(self.config, key) or _find(self.config, key.removeprefix("+"))

    def _put(self, key: str, value: Any, behind: str | None, before: str | None, where: str) -> str:
        """Write one key; returns its top-level key."""
        place = self._place(key)
        if place:
            top, node, name = place
            node[name] = _sum(node[name], value, where) if key.startswith("+") else value
            return top
        path = key.removeprefix("+")
        is_name = path == key and "#" not in key
        if value == NONE or not (is_name or any(_find(base, path) for base in self.bases)):
            self._refuse(path, where)
        if not key.startswith("+"):  # a whole node: MONAI would apply what else is said of it, in file order
            for other in list(self.config):
                own = other.removeprefix("+")
                if own.startswith(f"{key}#") or (own == key and other != key):
                    del self.config[other]
        _insert(self.config, key, value, behind, before)
        return key

    def _refuse(self, path: str, where: str) -> NoReturn:
        parent, _, name = path.rpartition("#")
        how = f"; to add it, write +{parent} with {name} in it" if parent else ""
        whole = "train.json or inference.json" if self.bases else "what the layers before give"
        raise InputError(f"{where} is not in {whole}{how}")


def with_nodes(value: Any, nodes: Mapping[str, Any], where: str) -> Any:
    """A copy of ``value`` in which every ``_use_`` is resolved.

    Raises:
        InputError: no node has the name, or its copy cannot be changed so.
    """
    if isinstance(value, list):
        return [with_nodes(item, nodes, f"{where}#{i}") for i, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    changes = {k: with_nodes(v, nodes, f"{where}#{k}") for k, v in value.items() if k != "_use_"}
    if "_use_" not in value:
        return changes
    name = value["_use_"]
    if name not in nodes:
        raise InputError(f"{where}: no node is called {name}; there are: {', '.join(nodes) or '(none)'}")
    node = copy.deepcopy(nodes[name])
    if not changes:
        return node
    if not isinstance(node, dict):
        raise InputError(f"{where}: node {name} is no mapping; {', '.join(changes)} cannot be laid on it")
    writer = Writer((), {}, config=node)
    writer.lay(changes, where)
    return writer.config


def _find(config: Config, path: str) -> Place | None:
    """The place at the end of ``path``, if it exists; keys of an overlay contain ``#`` themselves."""
    node: Any = config
    top = ""
    while isinstance(node, dict):
        if path in node:
            return top or path, node, path
        head = next((key for key in node if path.startswith(f"{key}#")), None)
        if head is None:
            return None
        top, node, path = top or head, node[head], path[len(head) + 1 :]
    return None


def _sum(old: Any, new: Any, where: str) -> Any:
    if isinstance(old, list) and isinstance(new, list):
        return old + new
    if isinstance(old, dict) and isinstance(new, dict):
        found, behind = dict(old), None
        for key, value in new.items():
            if key in found:
                found[key] = value
            else:
                _insert(found, key, value, behind)
            behind = key
        return found
    kinds = {dict: "a mapping", list: "a list"}
    added, to = (kinds.get(type(one), repr(one)) for one in (new, old))
    raise InputError(f"{where}: cannot add {added} to {to}; a mapping goes to a mapping, a list to a list")


def _insert(node: Config, key: str, value: Any, behind: str | None, before: str | None = None) -> None:
    """Insert a new key: right after one key, else right before another, else at the end."""
    items, keys = list(node.items()), list(node)
    place = keys.index(behind) + 1 if behind in node else keys.index(before) if before in node else len(keys)
    node.clear()
    node.update([*items[:place], (key, value), *items[place:]])
