"""JSON from outside: parsed strictly, so that what reads it meets plain values of a sane size."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["parse_json", "read_json", "walk"]

_DEEPEST = 32  # levels; configs of ours have a dozen
_LARGEST = 2**63


def read_json(path: str | Path) -> Any:
    """What a JSON file holds; see :func:`parse_json`.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not JSON in UTF-8, or not plain.
    """
    return parse_json(Path(path).read_bytes())


def parse_json(text: str | bytes) -> Any:
    """What JSON text holds.

    Raises:
        ValueError: it is not JSON, not UTF-8, or has one key twice in an object, NaN, infinity, an integer
            of more than 64 bits, a lone surrogate, or more than 32 levels.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8-sig")  # some editors begin a file with a byte order mark
    try:
        value = json.loads(text, object_pairs_hook=_without_twins, parse_constant=_no_number)
    except RecursionError:
        raise ValueError(f"nested more than {_DEEPEST} levels deep") from None
    for _, leaf in walk(value):
        _demand_plain(leaf)
    return value


def walk(value: Any) -> Iterator[tuple[str, Any]]:
    """The path (``training[3].image``) and value of every key, as text, and of every leaf.

    Raises:
        ValueError: there are more than 32 levels.
    """
    waiting: list[tuple[str, Any, int]] = [("", value, 0)]
    while waiting:
        path, node, depth = waiting.pop()
        if depth > _DEEPEST:
            raise ValueError(f"nested more than {_DEEPEST} levels deep")
        if isinstance(node, dict):
            for key in node:
                yield path, key
            inside = [(f"{path}.{key}" if path else key, item, depth + 1) for key, item in node.items()]
            waiting += reversed(inside)
        elif isinstance(node, list | tuple):
            inside = [(f"{path}[{number}]", item, depth + 1) for number, item in enumerate(node)]
            waiting += reversed(inside)
        else:
            yield path, node


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twin = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"{twin} stands there twice in one mapping; keep one")
    return found


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no number")


def _demand_plain(leaf: Any) -> None:
    if isinstance(leaf, str):
        if not leaf.isascii():
            leaf.encode()  # a lone surrogate can be neither printed nor part of a path
    elif isinstance(leaf, float):
        if not math.isfinite(leaf):
            raise ValueError("a number is too large")
    elif isinstance(leaf, int) and not -_LARGEST <= leaf < _LARGEST:
        raise ValueError("an integer has more than 64 bits")
