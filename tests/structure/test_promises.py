"""Every promise of docs/promises.md names tests, and each of them exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROWS = [
    line.strip("|").split("|")
    for line in (ROOT / "docs" / "promises.md").read_text().splitlines()
    if line.startswith("| ") and line != "| promise | test |"
]


def test_there_are_promises():
    assert len(ROWS) > 40
    assert all(len(row) == 2 for row in ROWS)


@pytest.mark.parametrize(("promise", "tests"), ROWS, ids=[promise.strip() for promise, _ in ROWS])
def test_each_has_a_test_that_exists(promise, tests):
    named = re.findall(r"`([^`]+)`", tests)
    assert named, promise
    for one in named:
        file, name = one.split("::")
        functions = [
            node.name
            for node in ast.parse((ROOT / file).read_text()).body
            if isinstance(node, ast.FunctionDef)
        ]
        assert name in functions, one


def test_no_other_run_takes_up_the_tests_that_kill():
    """pytest finds files by their names; these have others, and run when they are named."""
    assert not list((ROOT / "tests" / "faults").glob("test_*.py"))
    assert "tests/faults/kills.py" in (ROOT / "Makefile").read_text()
