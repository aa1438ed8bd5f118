"""The first place where two JSON values differ."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["first_difference"]

_LONGEST = 80


def first_difference(found: Any, expected: Any) -> str | None:
    """``train#handlers#2#max_norm is 11.0, expected 12.0``, or None if both are the same."""
    return _difference(found, expected, "")


def _difference(found: Any, expected: Any, path: str) -> str | None:
    if isinstance(found, dict) and isinstance(expected, dict):
        return _of_mappings(found, expected, path)
    if isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        pairs = enumerate(zip(found, expected, strict=True))
        parted = (_difference(one, other, _inside(path, i)) for i, (one, other) in pairs)
        return next(filter(None, parted), None)
    if type(found) is type(expected) and found == expected:
        return None
    return f"{path or 'all of it'} is {_short(found)}, expected {_short(expected)}"


def _of_mappings(found: dict, expected: dict, path: str) -> str | None:
    for key in expected:
        if key not in found:
            return f"{_inside(path, key)} is missing, expected {_short(expected[key])}"
    for key, value in found.items():
        if key not in expected:
            return f"{_inside(path, key)} is {_short(value)}, expected no such key"
        parted = _difference(value, expected[key], _inside(path, key))
        if parted:
            return parted
    if list(found) != list(expected):
        here = next(key for key, other in zip(found, expected, strict=True) if key != other)
        return f"{_inside(path, here)} stands in another place among the keys"
    return None


def _inside(path: str, key: object) -> str:
    return f"{path}#{key}" if path else str(key)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
