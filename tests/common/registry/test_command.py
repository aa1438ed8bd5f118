"""``python -m common.registry``, as typed."""

from __future__ import annotations

import json

import pytest

from common.registry.entries import key_of
from tests.common.registry import toy
from tests.contract.bundle import NAMES, ROOT, Bundle, Shell


@pytest.fixture
def shell(tmp_path):
    return Shell(ROOT, tmp_path)


def registry(shell, *words):
    return shell.python("-m", "common.registry", *words, fresh=True)


def test_starts_without_torch(shell):
    code = "import sys, common.registry.__main__; print({'torch', 'monai', 'numpy'} & sys.modules.keys())"
    assert shell.python("-c", code, fresh=True).ok().out == "set()\n"


def test_list(shell):
    lines = registry(shell, "list").ok().out.splitlines()
    assert [line.split()[:2] for line in lines] == [[n, Bundle(n).metadata["version"]] for n in NAMES]


def test_from_pack_to_get(shell, tmp_path):
    """All bundles of this checkout, through the commands alone."""
    dist, files = tmp_path / "dist", [key_of(n, Bundle(n).metadata["version"]) + ".zip" for n in NAMES]
    packed = registry(shell, "pack", "--all", "--target", dist).ok()
    assert packed.out.splitlines() == [str(dist / file) for file in files]
    registry(shell, "index", dist, "--base-url", dist.as_uri()).ok()
    assert f"{NAMES[0]}  " in registry(shell, "list", "--index", dist).ok().out
    verified = registry(shell, "verify", *(dist / file for file in files), "--index", dist).ok()
    assert verified.out.count(": good") == len(NAMES)
    told = registry(shell, "get", NAMES[0], "--index", dist, "--bundle_dir", tmp_path / "bundles").ok()
    folder = tmp_path / "bundles" / NAMES[0]
    assert told.out.startswith(f"{folder}: checked and unpacked")
    assert (folder / "common" / "__init__.py").is_file()
    assert not list(ROOT.glob("bundles/*/*/_packed.py"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["pack"], "name the bundles, or give --all"),
        (["pack", "cotr", "--all"], "name the bundles, or give --all"),
        (["pack", "nothing"], "bundle nothing: unknown; expected one of: "),
        (["verify"], "name one zip or more"),
        (["verify", "absent_v0.1.0.zip"], "absent_v0.1.0.zip: there is no such file"),
        (["index", "common", "--base-url", "https://example.org"], "common: holds no zip"),
        (["get", "cotr", "--index", "/nowhere"], "/nowhere/bundle_index.json: there is no such file"),
        (
            ["pack", "cotr", "--all", "perhaps"],
            "--all 'perhaps': not a boolean; expected one of: true, false",
        ),
        (["pack", "--all", "no"], "name the bundles, or give --all"),
        (["get", "cotr", "--index", "/nowhere", "--timeout", "soon"], "timeout soon, attempts 4; expected"),
    ],
)
def test_one_line_for_a_mistake(shell, words, message):
    assert message in registry(shell, *words).error()


def test_verify_against_another_index(shell, tmp_path):
    dist = toy.dist(tmp_path, "https://example.org")
    (dist / "bundle_index.json").write_text(json.dumps({"other_v1.0.0": {}}))
    told = registry(shell, "verify", dist / "toy_v0.1.0.zip", "--index", dist)
    assert "the index has no toy_v0.1.0; it has: other_v1.0.0" in told.error()


ESCAPES = "\x1b[2J\x1b]0;owned\x07 \x9b31m \u202etxt.exe \r\n\x08"


@pytest.mark.parametrize("field", ["task", "modality", "dimensions"])
def test_list_shows_no_escapes_of_an_index(field, shell, tmp_path):
    """They could clear the screen, hide text or answer for the user."""
    facts = {"task": "Organs", "modality": "CT", "dimensions": 3, field: ESCAPES}
    (tmp_path / "bundle_index.json").write_text(json.dumps({"toy\x1b[0m_v1.0.0": facts, "z_v1.0.0": {}}))
    told = registry(shell, "list", "--index", tmp_path).ok()
    first, second = told.out.splitlines()
    assert told.out.replace("\n", "").isprintable()
    assert first.startswith(r"toy\x1b[0m  1.0.0")
    assert r"\x1b[2J\x1b]0;owned\x07 \x9b31m \u202etxt.exe \r\n\x08" in first
    assert second.split() == ["z", "1.0.0", "?D"]


@pytest.mark.parametrize("words", [["get", "cotr"], ["get", "toy"], ["verify", "cotr_v0.1.0.zip"]])
def test_errors_show_no_escapes_of_an_index(words, shell, tmp_path):
    entry = {"source": ESCAPES, "sha256": "0" * 64, "size": 1}
    (tmp_path / "bundle_index.json").write_text(json.dumps({f"{ESCAPES}_v1.0.0": {}, "toy_v0.1.0": entry}))
    told = registry(shell, *words, "--index", tmp_path)
    assert told.error().isprintable()


def test_list_of_values_that_are_no_text(shell, tmp_path):
    index = {"a_v1.0.0": {"task": {"x": [1]}, "modality": None}, "b": {"task": "long " * 1000}}
    (tmp_path / "bundle_index.json").write_text(json.dumps(index))
    told = registry(shell, "list", "--index", tmp_path).ok()
    assert "{'x': [1]}" in told.out
    assert max(map(len, told.out.splitlines())) < 1000
