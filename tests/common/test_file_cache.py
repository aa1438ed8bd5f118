"""Values computed from files are kept for as long as the files stay the same."""

from __future__ import annotations

import os

import pytest

from common.file_cache import FileCache, stamp


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "a.txt"
    path.write_text("a")
    return path


def test_kept_until_a_file_changes(file):
    cache = FileCache("sums", version=1)
    assert cache.load("a", [file]) is None
    cache.save("a", stamp([file]), {"sum": [1, 2.5, None]})
    assert cache.load("a", [file]) == {"sum": [1, 2.5, None]}
    assert cache.load("b", [file]) is None
    assert FileCache("others", version=1).load("a", [file]) is None
    assert FileCache("sums", version=2).load("a", [file]) is None
    os.utime(file, ns=(1, 1))
    assert cache.load("a", [file]) is None
    cache.save("a", stamp([file]), 3)
    file.write_text("ab")
    os.utime(file, ns=(1, 1))
    assert cache.load("a", [file]) is None
    file.unlink()
    assert stamp([file]) is None
    assert cache.load("a", [file]) is None


def test_what_was_changed_or_cannot_be_written_is_ignored(file, tmp_path, monkeypatch):
    cache = FileCache("sums", version=1)
    cache.save("a", stamp([file]), {"sum": 25})
    (entry,) = (tmp_path / "cache").rglob("*.json")
    entry.write_text(entry.read_text().replace("25", "26"))
    assert cache.load("a", [file]) is None
    entry.write_text("{")
    assert cache.load("a", [file]) is None
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))
    cache.save("a", stamp([file]), 1)
    assert cache.load("a", [file]) is None
