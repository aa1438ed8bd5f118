"""A word is not a boolean: how each of our commands reads ``--option false``."""

from __future__ import annotations

import argparse
import contextlib
import functools
import inspect
import os
import pickle
import runpy
import sys
import typing
from collections.abc import Callable
from pathlib import Path

import fire
import pytest
import torch

from common.errors import InputError
from tests.contract.bundle import ROOT, Shell

TREES = ("common", "benchmarks", "tools", "bundles")
WORDS = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}
WORDS |= {"True": True, "False": False, "YES": True, "No": False, "nO": False, "TRUE": True}
REFUSED = ("off", "on", "None", "2", "-1", "''", "[]", "{}", "0.0", "false_", "truth", "'no'\n")
#: Takes only a step's name, no options.
WITHOUT_OPTIONS = {"common/registry/zoo_steps.py"}


def sources() -> dict[str, str]:
    files = [file for tree in TREES for file in (ROOT / tree).rglob("*.py") if not file.is_symlink()]
    return {file.relative_to(ROOT).as_posix(): file.read_text() for file in files}


def command_files() -> list[str]:
    """Command files, recognised by what makes Python run them."""
    told = 'if __name__ == "__main__":'
    found = {name for name, text in sources().items() if told in text or name.endswith("/__main__.py")}
    return sorted(found - WITHOUT_OPTIONS)


def test_commands_are_found():
    found = command_files()
    assert "common/checkpoints/__main__.py" in found
    assert "common/evaluation/baselines.py" in found
    assert len(found) > 12


def test_only_one_file_parses_the_command_line():
    users = {name for name, text in sources().items() if "import fire" in text or "fire.Fire(" in text}
    assert users == {"common/commands.py"}
    assert [name for name, text in sources().items() if 'action="store_true"' in text] == []


def run_as_main(file: str, monkeypatch) -> tuple[list, list]:
    """Run a command until it parses its words: what it passed to Fire, and its parsers."""
    fired: list = []
    parsers: list = []

    def parse(self, *_, **__):
        parsers.append(self)
        raise SystemExit

    monkeypatch.setattr(fire, "Fire", lambda component, **_: fired.append(component))
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(sys, "argv", [file])
    module = file.removesuffix(".py").removesuffix("/__main__").replace("/", ".")
    with contextlib.suppress(SystemExit):
        runpy.run_module(module, run_name="__main__")
    monkeypatch.undo()
    assert len(fired) + len(parsers) == 1, file
    return fired, parsers


def functions_in(component) -> list[Callable]:
    return list(component.values()) if isinstance(component, dict) else [component]


def booleans_of(function: Callable) -> list[str]:
    hints = typing.get_type_hints(function)
    return [n for n, h in hints.items() if n != "return" and (h is bool or bool in typing.get_args(h))]


def received(function: Callable, words: list[str]) -> dict:
    """The arguments that a function would get from a command line, without running it."""
    got: dict = {}

    @functools.wraps(function)
    def stand_in(*args, **kwargs):
        got.update(inspect.signature(function).bind(*args, **kwargs).arguments)

    fire.Fire(stand_in, command=words)
    return got


def required(function: Callable) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = inspect.signature(function).parameters.values()
    needed = [p.name for p in parameters if p.default is p.empty and p.kind in kinds]
    return [word for name in needed for word in (f"--{name}", "something")]


@pytest.mark.parametrize("file", command_files())
def test_every_boolean_of_every_command(file, monkeypatch, capsys):
    fired, parsers = run_as_main(file, monkeypatch)
    for function in (function for component in fired for function in functions_in(component)):
        for name in booleans_of(function):
            check_words(
                lambda words, f=function, n=name: received(f, [*required(f), *words])[n], name, capsys
            )
    for parser in parsers:
        for action in parser._actions:
            assert action.nargs != 0 or isinstance(action, argparse._HelpAction), action.dest
            if isinstance(action.const, bool):
                read = lambda words, p=parser, a=action: getattr(p.parse_args(words), a.dest)  # noqa: E731
                check_words(read, action.dest, capsys)


def check_words(read: Callable[[list[str]], bool], name: str, capsys) -> None:
    assert read([f"--{name}"]) is True
    for word, value in WORDS.items():
        assert read([f"--{name}", word]) is value, (name, word)
        assert read([f"--{name}={word}"]) is value, (name, word)
    for word in REFUSED:
        capsys.readouterr()
        with pytest.raises((InputError, SystemExit)) as caught:
            read([f"--{name}={word}"])
        if isinstance(caught.value, SystemExit):
            assert caught.value.code != 0
            message = capsys.readouterr().err.removesuffix("\n")
        else:
            message = str(caught.value)
        assert "\n" not in message
        assert f"--{name}" in message
        assert "true, false, yes, no, 1, 0" in message


def test_an_optional_boolean_too():
    from common.commands import boolean_parameters

    def function(a: bool, b: bool | None = None, c: bool | str = False, *d: bool, e: int = 1, **f: bool):
        """Its signature is all that is read."""

    function.__annotations__ = {"a": bool, "b": bool | None, "c": bool | str, "d": bool, "e": int, "f": bool}
    assert boolean_parameters(function) == ["a", "b"]


class Bomb:
    """Unpickled, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.fixture
def bomb(tmp_path) -> Path:
    file = tmp_path / "authors.pth"
    torch.save({"state_dict": Bomb(tmp_path / "ran")}, file, pickle_module=pickle)
    return file


def run_import(tmp_path: Path, source: Path, *words: str):
    target = tmp_path / "model.pt"
    told = Shell(ROOT, tmp_path).python(
        *("-m", "common.checkpoints", "import", "--bundle", "cotr"),
        "--source",
        source,
        "--target",
        target,
        *words,
    )
    assert not target.exists()
    return told


@pytest.mark.parametrize("words", [("--trust", "false"), ("--trust", "No"), ("--trust=0",), ("--notrust",)])
def test_an_untrusted_file_runs_no_code(words, bomb, tmp_path):
    told = run_import(tmp_path, bomb, *words)
    assert "could run code" in told.error()
    assert not (tmp_path / "ran").exists()


def test_a_word_that_is_not_a_boolean_is_refused_before_anything_runs(bomb, tmp_path):
    told = run_import(tmp_path, bomb, "--trust", "off")
    assert told.error() == "error: --trust 'off': not a boolean; expected one of: true, false, yes, no, 1, 0"
    assert not (tmp_path / "ran").exists()


def test_trust_says_what_it_is_about_to_do(bomb, tmp_path):
    """The file's code ends the process at once, so that nothing can be printed afterwards."""
    torch.save({"state_dict": End()}, bomb, pickle_module=pickle)
    told = run_import(tmp_path, bomb, "--trust", "yes")
    assert told.code == 7
    (line,) = told.err.splitlines()
    assert line == f"{bomb}: --trust is given: unpickling the file whole, which runs any code that it holds"


class End:
    """Unpickled, it ends the process without any clean-up."""

    def __reduce__(self):
        return os._exit, (7,)


def test_partial_false_refuses_weights_that_do_not_fit(tmp_path):
    torch.save({"state_dict": {"strange": torch.zeros(3)}}, tmp_path / "authors.pth")
    told = run_import(tmp_path, tmp_path / "authors.pth", "--partial", "false")
    assert "do not fit" in told.error()


def test_overwrite_false_keeps_an_existing_list(tmp_path):
    data = tmp_path / "data"
    for folder in ("imagesTr", "labelsTr"):
        (data / folder).mkdir(parents=True)
        (data / folder / "a.nii.gz").touch()
    (data / "dataset.json").write_text("written by hand")
    words = ("-m", "common.datasets", "list", data, "--overwrite")
    told = Shell(ROOT, tmp_path).python(*words, "false")
    assert "dataset.json" in told.error()
    assert (data / "dataset.json").read_text() == "written by hand"
