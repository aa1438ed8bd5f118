"""A config with its references followed and its expressions evaluated, and nothing built.

MONAI reads and merges the files.  What is plain, that is numbers, words, switches and lists or dictionaries
of these, is followed wherever a reference leads, and computed wherever an expression needs nothing else.
What needs data, weights or a built object stays as it is written, so that it can be compared all the same.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import monai
import numpy as np
import torch
from monai.bundle import ConfigParser, ReferenceResolver

__all__ = ["ABSENT", "NotPlainError", "Resolved", "leaves", "name_of", "read"]

#: What a path leads to that is not there.
ABSENT = "(absent)"
_SCALARS = (bool, int, float, str, type(None))


def read(folder: Path, configs: list[str]) -> dict[str, Any]:
    """The files one on the other, as ``python -m monai.bundle run`` lays them."""
    return ConfigParser.load_config_files([folder / f"{config}.json" for config in configs])


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Paths and values of the scalars below a node; an empty list or dictionary counts as one."""
    if node and isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from leaves(value, f"{path}#{key}" if path else str(key))
    else:
        yield path, node


class NotPlainError(Exception):
    """It needs data, weights or an object that is built first."""


class Resolved:
    """Values of a config by their paths: ``loss#weights``, and ``train#handlers#GradientClipping#max_norm``.

    An item of a list goes by its number, or by the last word of its ``_target_`` if no other has it.

    Args:
        raw: as :func:`read` gives it.
        stand_ins: what some paths lead to, in place of what would have to be built.
    """

    def __init__(self, raw: Mapping[str, Any], stand_ins: Mapping[str, Any] | None = None) -> None:
        self.raw, self.stand_ins = raw, dict(stand_ins or {})

    def at(self, path: str) -> Any:
        """What the path leads to, ``_target_`` by its last word; ``ABSENT`` if nowhere."""
        try:
            node = self.node(path)
        except LookupError:
            return ABSENT
        return _last_word(node) if path.endswith("_target_") else self._seen(node)

    def node(self, path: str) -> Any:
        """As it is written.

        Raises:
            LookupError: it is not there.
        """
        node: Any = self.raw
        for step in path.split("#"):
            node = node[step] if isinstance(node, dict) else self._items(node)[step]
        return node

    def _items(self, node: Any) -> dict[str, Any]:
        if not isinstance(node, list):
            raise KeyError(node)
        named = [name_of(item) for item in node]
        return {str(i): item for i, item in enumerate(node)} | {
            name: item for name, item in zip(named, node, strict=True) if named.count(name) == 1
        }

    def _seen(self, node: Any) -> Any:
        if isinstance(node, dict):
            return {
                key: _last_word(value) if key == "_target_" else self._seen(value)
                for key, value in node.items()
            }
        if isinstance(node, list):
            return [self._seen(item) for item in node]
        try:
            return _plain(self.value(node))
        except NotPlainError:
            return node

    def value(self, node: Any) -> Any:
        """What a plain node stands for.

        Raises:
            NotPlainError: it is not plain.
        """
        if isinstance(node, dict):
            if "_target_" in node:
                raise NotPlainError
            return {key: self.value(item) for key, item in node.items()}
        if isinstance(node, list):
            return [self.value(item) for item in node]
        if not isinstance(node, str) or node[:1] not in ("@", "$", "%"):
            return node
        return self._computed(node)

    def _computed(self, text: str) -> Any:
        if text.startswith("%"):
            raise NotPlainError
        found = {path: self._referred(path) for path in ReferenceResolver.match_refs_pattern(text)}
        code = ReferenceResolver.update_refs_pattern(text, found)
        if text.startswith("@"):
            return code
        names = _imported(tuple(self.raw["imports"])) | {ReferenceResolver._vars: found}
        try:  # a recipe is for a GPU
            with mock.patch("torch.cuda.is_available", return_value=True):
                return eval(_compiled(code[1:]), names)
        except Exception as error:  # as written, then
            raise NotPlainError from error

    def _referred(self, path: str) -> Any:
        path = path.replace("::", "#")
        if path in self.stand_ins:
            return self.stand_ins[path]
        try:
            return self.value(self.node(path))
        except LookupError as error:
            raise NotPlainError from error


def name_of(item: Any) -> str:
    """The last word of its ``_target_``; empty if it has none."""
    return _last_word(item["_target_"]) if isinstance(item, dict) and "_target_" in item else ""


def _last_word(target: str) -> str:
    return target.rpartition(".")[2]


def _plain(value: Any) -> Any:
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, list | tuple | range):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    raise NotPlainError


@cache
def _compiled(code: str) -> Any:
    return compile(code.strip(), "<config>", "eval")


@cache
def _imported(lines: tuple[str, ...]) -> dict[str, Any]:
    """The names that a config's imports make, and those that MONAI always gives."""
    names: dict[str, Any] = {"monai": monai, "torch": torch, "np": np, "numpy": np}
    for line in lines:
        module = line.removeprefix("$import ").strip()
        importlib.import_module(module)
        package = module.partition(".")[0]
        names[package] = importlib.import_module(package)
    return names
