"""Files are complete or absent, and errors that a user can fix are one line."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from common.disk import DiskError
from common.errors import InputError, root_input_error
from common.files import atomic_folder, atomic_path, require_writable, write_json, write_text
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


@pytest.fixture(scope="module")
def dead():
    """The number of a process that is gone."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize("running", [False, True])
def test_what_a_killed_process_left_is_removed_when_the_file_is_written_again(running, dead, tmp_path):
    pid = os.getppid() if running else dead
    for name in (f".{pid}.model.pt", f".{pid}.other.pt", f".{dead}model.pt"):
        (tmp_path / name).write_bytes(b"half")
    write_text(tmp_path / "model.pt", "whole")
    kept = {f".{pid}.other.pt", f".{dead}model.pt", "model.pt"}
    assert {p.name for p in tmp_path.iterdir()} == kept | ({f".{pid}.model.pt"} if running else set())


def test_what_a_killed_process_left_of_a_folder_is_removed(dead, tmp_path):
    (tmp_path / f".{dead}.out" / "images").mkdir(parents=True)
    with atomic_folder(tmp_path / "out"):
        pass
    assert os.listdir(tmp_path) == ["out"]


def test_durable_files_are_on_the_disk_before_they_replace_others(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr("os.fsync", lambda fd: done.append(os.readlink(f"/proc/self/fd/{fd}")))
    replace = os.replace
    monkeypatch.setattr("os.replace", lambda a, b: (done.append("rename"), replace(a, b)))
    with atomic_path(tmp_path / "model.pt", durable=True) as temporary:
        temporary.write_text("x")
    assert done == [str(temporary), "rename", str(tmp_path)]


def test_a_name_as_long_as_the_file_system_allows(tmp_path):
    name = "ä" * 120 + ".nii.gz"
    write_text(tmp_path / name, "x")
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS])
def test_a_disk_that_takes_no_more_is_one_line(number, tmp_path):
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(DiskError) as error, atomic_path(tmp_path / "a.txt"):
        raise OSError(number, os.strerror(number))
    assert str(error.value).startswith(f"{tmp_path}: ")
    assert os.strerror(number) in str(error.value)
    assert str(error.value).endswith("; a.txt was not written, nor changed if it was there")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_other_errors_of_the_system_are_not_taken_for_a_full_disk(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a.txt"):
        (tmp_path / "absent").read_text()


def test_a_full_disk_met_by_a_librarys_own_writer_is_one_line(tmp_path):
    code = (
        "import sys; from common.errors import *; from common.files import require_writable\n"
        "show_input_errors_as_one_line(); require_writable(sys.argv[1])\n"
        "try: raise OSError(28, 'No space left on device')\n"
        "except OSError as error: raise RuntimeError('a whole config') from error"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        f"error: {tmp_path}: cannot write there (No space left on device); what was complete before is kept\n"
    )
