"""``plan.json``: read and checked, wherever a plan comes from.

``plan_schema.json`` says which keys a plan may have, with types and ranges.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.errors import InputError
from common.json_file import parse_json
from common.schema import Schema

__all__ = ["check_plan", "parse_plan", "read_plan"]

_SCHEMA = Schema(Path(__file__).with_name("plan_schema.json"))
_REPAIR = "train again, or restore the file that came with the weights"


def read_plan(path: str | Path) -> dict[str, Any]:
    """The plan in a file.

    Raises:
        InputError: it cannot be read, is no plan, or has a value that is not allowed.
    """
    path = Path(path)
    try:
        return parse_plan(path.read_bytes(), path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {_REPAIR}") from error


def parse_plan(text: str | bytes, source: str | Path) -> dict[str, Any]:
    """The plan in text.

    Args:
        text: JSON.
        source: where it is from, named in messages.

    Raises:
        InputError: it is no plan, or has a value that is not allowed.
    """
    try:
        plan = parse_json(text)
    except ValueError as error:
        raise InputError(
            f"{source}: is no plan ({error}); expected the JSON that training writes: {_REPAIR}"
        ) from error
    check_plan(plan, source)
    return plan


def check_plan(plan: Mapping[str, Any], source: str | Path) -> None:
    """Check a plan before it is used or written.

    Raises:
        InputError: the message names the key, its value and what is allowed.
    """
    _SCHEMA.check(plan, f"{source}: is no plan", _REPAIR)
