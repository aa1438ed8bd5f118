from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import InputError
from common.new import write


def files_in(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): b"" if path.is_symlink() else path.read_bytes()
        for path in root.rglob("*")
        if path.is_symlink() or (path.is_file() and "__pycache__" not in path.parts)
    }


@pytest.mark.parametrize("step", ["configs_as_text", "write", "lists_as_text"])
def test_failure_leaves_nothing(checkout, step, monkeypatch):
    """Whichever step fails once the folders exist."""
    before = files_in(checkout)

    def fail(*args):
        raise OSError("no space left on device")

    monkeypatch.setattr(write, step, fail)
    with pytest.raises(OSError, match="no space left"):
        write.new_bundle("half_done", "cotr", checkout)
    assert files_in(checkout) == before


def test_failure_at_the_last_file_leaves_nothing(checkout, monkeypatch):
    """The index is written, and the README's table not yet."""
    before, whole = files_in(checkout), write.write

    def half(texts):
        if len(texts) == 2 and "half_done" in str(list(texts.values())):
            whole(dict([next(iter(texts.items()))]))
            raise OSError("no space left on device")
        return whole(texts)

    monkeypatch.setattr(write, "write", half)
    with pytest.raises(OSError, match="no space left"):
        write.new_bundle("half_done", "cotr", checkout)
    assert files_in(checkout) == before


def test_unknown_like(checkout):
    with pytest.raises(InputError, match=r"--like nonesuch: no such bundle; there are: .*cotr"):
        write.new_bundle("throwaway", "nonesuch", checkout)


def test_command_says_what_is_wrong_in_one_line(checkout):
    words = [sys.executable, "-m", "common.new", "cotr", "--like", "mcnet_plus"]
    told = subprocess.run(words, cwd=checkout, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert told.stderr == (
        "error: cotr: bundles/cotr is there already; choose another name, or move it away\n"
    )
