"""The command line of all our commands: a thin layer over Python Fire, or argparse.

Fire hands over ``false``, ``no`` and ``off`` as text, and text counts as true.  Here each parameter
annotated ``bool`` takes the words of :data:`BOOLEANS`, in any case, and refuses all others.
"""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable, Mapping, Sequence
from types import NoneType
from typing import Any, get_args, get_type_hints

from common.errors import InputError, show_input_errors_as_one_line

__all__ = ["BOOLEANS", "Switch", "as_boolean", "boolean_parameters", "run_commands"]

#: The words for booleans on a command line, in any case.
BOOLEANS = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}


def as_boolean(value: Any, option: str, further: Sequence[str] = ()) -> bool:
    """The boolean that a word, or 0 or 1, stands for.

    Args:
        value: as the command line gave it.
        option: named in the message, such as ``--trust``.
        further: words that the option takes besides, for the message.

    Raises:
        InputError: the value is neither.
    """
    word = str(value).strip().lower()
    if word not in BOOLEANS:
        accepted = ", ".join([*BOOLEANS, *further])
        raise InputError(f"{option} {value!r}: not a boolean; expected one of: {accepted}")
    return BOOLEANS[word]


def boolean_parameters(function: Callable[..., Any]) -> list[str]:
    """The names of the parameters that are annotated ``bool``, or ``bool | None``."""
    hints = get_type_hints(function)
    kinds = {name: set(get_args(hints[name]) or [hints[name]]) for name in _named(function) if name in hints}
    return [name for name, kind in kinds.items() if bool in kind and kind <= {bool, NoneType}]


def _named(function: Callable[..., Any]) -> list[str]:
    collecting = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in inspect.signature(function).parameters.values() if p.kind not in collecting]


def run_commands(commands: Callable[..., Any] | Mapping[str, Callable[..., Any]], name: str) -> None:
    """Run what the command line asks for; an :class:`InputError` ends the process with one line.

    Args:
        commands: one command, or several by name.
        name: as people type it, for the help: ``python -m common.checkpoints``.
    """
    import fire  # not at the top: a bundle's run needs only as_boolean

    show_input_errors_as_one_line()
    for command in commands.values() if isinstance(commands, Mapping) else [commands]:
        readers = {parameter: _reader(f"--{parameter}") for parameter in boolean_parameters(command)}
        fire.decorators.SetParseFns(**readers)(command)
    fire.Fire(dict(commands) if isinstance(commands, Mapping) else commands, name=name)


def _reader(option: str) -> Callable[[str], bool]:
    return lambda text: as_boolean(text, option)


class Switch(argparse.Action):
    """A boolean option of argparse: ``--quick``, or ``--quick`` followed by a word of :data:`BOOLEANS`."""

    def __init__(self, option_strings: Sequence[str], dest: str, **words: Any) -> None:
        words |= {"nargs": "?", "const": True, "default": False, "metavar": "true|false"}
        super().__init__(option_strings, dest, **words)

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Store what was given."""
        try:
            setattr(namespace, self.dest, as_boolean(values, option_string or self.option_strings[0]))
        except InputError as error:
            parser.exit(2, f"error: {error}\n")
