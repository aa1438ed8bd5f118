"""Full disks and read-only folders: one line that names the folder, and nothing torn."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from common.disk import explained_disk_errors
from common.errors import InputError
from common.registry.index import index
from common.registry.pack import pack
from tests.common.registry import toy
from tests.contract.bundle import ROOT

COMMANDS = {
    "pack": "from common.registry.pack import pack; pack('toy', sys.argv[2], root=sys.argv[1])",
    "index": "from common.registry.index import index; index(sys.argv[2], 'https://example.org')",
    "get": "from common.registry.fetch import get; get('toy', sys.argv[2], bundle_dir=sys.argv[3])",
}


def run(command, tmp_path, *before):
    """In a process of its own, behind a program that takes something from it."""
    code = f"import sys; from common.errors import *; show_input_errors_as_one_line(); {COMMANDS[command]}"
    folders = (tmp_path / "checkout", tmp_path / "dist", tmp_path / "bundles")
    words = [*before, sys.executable, "-c", code, *folders]
    return subprocess.run([str(word) for word in words], cwd=ROOT, capture_output=True, text=True)


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def one_line(done):
    """The error, behind the progress bar of get."""
    lines = done.stderr.replace("\r", "\n").strip().splitlines()
    assert done.returncode == 1
    assert [line for line in lines if "B/s]" not in line] == lines[-1:]
    return lines[-1]


@pytest.fixture
def dist(tmp_path):
    return toy.dist(tmp_path, ".")


#: Bytes after which the kernel refuses to make a file longer: the zip, one of those that are unpacked for
#: Hugging Face's client, and the zip on its way.
LIMITS = {"pack": 10_000, "index": 12_000, "get": 18_000}


@pytest.mark.parametrize("command", COMMANDS)
def test_file_that_cannot_grow(command, dist, tmp_path):
    before = files(dist)
    told = one_line(run(command, tmp_path, "prlimit", f"--fsize={LIMITS[command]}"))
    folder = tmp_path / "bundles" if command == "get" else dist
    assert told.startswith(f"error: {folder}: cannot write there (File too large); ")
    assert files(dist) == before
    assert not (tmp_path / "bundles").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_read_only_folder(command, dist, tmp_path):
    """Root's right to write everywhere is taken away, where the tests run as root."""
    before = files(dist)
    folder = tmp_path / "bundles" if command == "get" else dist
    folder.mkdir(exist_ok=True)
    folder.chmod(0o555)
    drop = (
        ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"] if os.geteuid() == 0 else []
    )
    try:
        told = one_line(run(command, tmp_path, *drop))
    finally:
        folder.chmod(0o755)
    assert str(folder) in told
    assert "cannot write there (Permission denied)" in told
    assert files(dist) == before
    assert not os.listdir(tmp_path / "bundles") if command == "get" else True


def fail(number):
    def act(*_, **__):
        raise OSError(number, os.strerror(number))

    return act


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_is_called_that(number, dist, tmp_path, monkeypatch):
    before = files(dist)
    monkeypatch.setattr("shutil.copyfileobj", fail(number))
    reason = os.strerror(number)
    with pytest.raises(InputError) as error:
        pack("toy", dist, root=tmp_path / "checkout")
    assert str(error.value) == (
        f"{dist}: the disk is full ({reason}); toy_v0.1.0.zip was not written, nor changed if it was there"
    )
    with pytest.raises(InputError) as error:
        index(dist, "https://example.org")
    assert str(error.value) == (
        f"{dist}: the disk is full ({reason}); the index and the catalogue that were there are whole"
    )
    assert files(dist) == before


def test_other_errors_pass():
    with pytest.raises(KeyError), explained_disk_errors("folder", "nothing was written"):
        raise KeyError
