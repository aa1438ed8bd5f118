"""JSON as people read it: a node that fits into the rest of its line stays on it."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["compact"]

_WIDTH = 110
_STEP = 4


def compact(value: Any) -> str:
    """The text of a config, with the line break at its end."""
    return _text(value, indent=0, used=0) + "\n"


def _text(value: Any, *, indent: int, used: int) -> str:
    """``value`` in a line that is indented by ``indent`` and holds ``used`` more characters (key, comma)."""
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not value or indent + used + len(flat) <= _WIDTH:
        return flat
    inner = indent + _STEP
    if isinstance(value, dict):
        keys = [json.dumps(key, ensure_ascii=False) + ": " for key in value]
        items = [
            key + _text(node, indent=inner, used=len(key) + 1)
            for key, node in zip(keys, value.values(), strict=True)
        ]
        opening, closing = "{}"
    else:
        items = [_text(node, indent=inner, used=1) for node in value]
        opening, closing = "[]"
    lines = f",\n{' ' * inner}".join(items)
    return f"{opening}\n{' ' * inner}{lines}\n{' ' * indent}{closing}"
