"""Files are complete or absent, and errors that a user can fix are one line."""

from __future__ import annotations

import subprocess
import sys

import pytest

from common.errors import InputError, root_input_error
from common.files import atomic_folder, atomic_path, require_writable, write_json
from tests.contract.bundle import ROOT


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_half() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "old"


def test_the_temporary_name_keeps_the_suffixes(tmp_path):
    with atomic_path(tmp_path / "scan.nii.gz") as temporary:
        assert temporary.name.endswith("scan.nii.gz")
        assert temporary.parent == tmp_path
        temporary.write_bytes(b"x")
    assert (tmp_path / "scan.nii.gz").read_bytes() == b"x"


def test_folders_are_created(tmp_path):
    write_json(tmp_path / "a" / "b" / "c.json", {"x": 1})
    require_writable(tmp_path / "d", tmp_path / "e" / "f")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "d", "e"]
    assert not list((tmp_path / "d").iterdir())


def test_a_folder_that_cannot_be_created(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file.* cannot write there \(Not a directory\)"):
        require_writable(tmp_path / "file" / "below")


def test_a_wrapped_input_error_is_found():
    def wrapped() -> None:
        try:
            raise InputError("the cause")
        except InputError as error:
            raise RuntimeError("a whole config") from error

    with pytest.raises(RuntimeError) as caught:
        wrapped()
    assert str(root_input_error(caught.value)) == "the cause"
    assert root_input_error(RuntimeError("another")) is None


@pytest.mark.parametrize(("kind", "lines", "traceback"), [("InputError", 1, False), ("KeyError", None, True)])
def test_commands_show_input_errors_as_one_line_and_bugs_in_full(kind, lines, traceback):
    code = (
        "from common.errors import *\nshow_input_errors_as_one_line()\n"
        f"try:\n    raise {kind}('found this')\n"
        "except Exception as e:\n    raise RuntimeError('config') from e"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert ("Traceback" in done.stderr) is traceback
    if lines:
        assert done.stderr.splitlines() == ["error: found this"]


def test_folder_is_complete_or_absent(tmp_path):
    target = tmp_path / "deep" / "out"
    with pytest.raises(OSError, match="half"), atomic_folder(target) as root:
        (root / "half").rename(root / "other")
    assert list(target.parent.iterdir()) == []
    target.mkdir()  # an empty one is used
    with atomic_folder(target) as root:
        (root / "whole.txt").write_text("whole")
    assert [path.name for path in target.parent.iterdir()] == ["out"]
    assert (target / "whole.txt").read_text() == "whole"


def test_folder_in_use_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="not empty"), atomic_folder(tmp_path):
        raise AssertionError("must not come here")
    with pytest.raises(InputError, match="cannot write"), atomic_folder(tmp_path / "file" / "out"):
        raise AssertionError("must not come here")
