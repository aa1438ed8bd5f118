"""JSON schemas for files from outside: types and ranges, and nothing that MONAI would run.

A value that reaches a config is code if it begins with ``$``, a reference with ``@``, a macro with ``%``; so
no text may begin with them, nor may a mapping have a ``_target_``.
"""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

from common.errors import InputError
from common.json_file import walk

__all__ = ["Schema", "without_mark"]

_MARKS = ("$", "@", "%")
_TARGET = "_target_"
_LONGEST = 80  # characters of a value in a message


class Schema:
    """A JSON schema (draft 2020-12) in a file.

    Each of its subschemas has a ``description``, which says in a message what was expected.

    Args:
        file: the schema; it is read and compiled at the first use.
    """

    def __init__(self, file: str | Path) -> None:
        self.file = Path(file)

    @cached_property
    def _validator(self) -> Any:
        from jsonschema import Draft202012Validator, validators  # 0.1 s; not needed where nothing is read

        types = Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer)
        kind = validators.extend(Draft202012Validator, type_checker=types)
        return kind(json.loads(self.file.read_text(encoding="utf-8")))

    def check(self, value: Any, source: str | Path, repair: str) -> None:
        """Check what a file holds.

        Args:
            value: as :func:`common.json_file.parse_json` gives it, or a program would write it.
            source: the file, named in messages.
            repair: what to do, the end of messages.

        Raises:
            InputError: the message names the file, the key, what it holds and what is allowed.
        """
        for path, leaf in walk(value):
            if isinstance(leaf, str) and (leaf.startswith(_MARKS) or leaf == _TARGET):
                raise InputError(
                    f"{source}: {path or 'a key'}: {_shown(leaf)} would be run as code in a config; expected "
                    f"text that does not begin with {', '.join(_MARKS)}: {repair}"
                )
        error = next(self._validator.iter_errors(value), None)
        if error is not None:
            key = error.json_path.removeprefix("$").removeprefix(".") or "the whole"
            expected = error.schema["description"]
            raise InputError(f"{source}: {key} = {_shown(error.instance)}; expected {expected}: {repair}")


def _is_integer(_: Any, value: Any) -> bool:
    """To JSON schemas 2.0 is an integer; it is none as a size or an index."""
    return isinstance(value, int) and not isinstance(value, bool)


def without_mark(text: str) -> str:
    """The text without what makes code of it: the name of a folder, say, that begins with ``@``."""
    return text.lstrip("".join(_MARKS))


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
