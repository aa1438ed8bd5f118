"""What killed runs leave: removed by the next one, taken for a bundle by none."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from common.downloads.download import Patience
from common.leftovers import remove_leftovers
from common.registry.fetch import get
from common.registry.index import index
from common.registry.pack import pack
from tests.common.registry import toy


@pytest.fixture(scope="module")
def dead():
    """The number of a process that is gone."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def leave(path, *files):
    """A folder with these files, or one file."""
    if files:
        path.mkdir(parents=True)
    for file in [path / file for file in files] or [path]:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"half")
    return path


def test_index_does_not_see_half_a_zip(tmp_path, dead):
    """It would stop there, since that is no zip."""
    pack("toy", tmp_path / "dist", root=toy.checkout(tmp_path))
    leave(tmp_path / "dist" / f".{dead}.toy_v0.1.0.zip")
    assert list(index(tmp_path / "dist", "https://example.org")) == ["toy_v0.1.0"]


def test_index_does_not_see_a_zip_that_is_being_written(tmp_path):
    """Whole already, but not renamed yet: it would be published under a name that will not be there."""
    file = pack("toy", tmp_path / "dist", root=toy.checkout(tmp_path))
    file.rename(file.with_name(f".{os.getppid()}.{file.name}"))
    pack("toy", tmp_path / "dist", root=tmp_path)
    assert list(index(tmp_path / "dist", "https://example.org")) == ["toy_v0.1.0"]


def test_pack_removes_half_a_zip(tmp_path, dead):
    leave(tmp_path / "dist" / f".{dead}.toy_v0.1.0.zip")
    pack("toy", tmp_path / "dist", root=toy.checkout(tmp_path))
    assert os.listdir(tmp_path / "dist") == ["toy_v0.1.0.zip"]


def test_get_removes_half_a_bundle(tmp_path, dead):
    dist = toy.dist(tmp_path, ".")
    leave(tmp_path / "bundles" / f".{dead}.toy", "toy_v0.1.0.zip", "unpacked/toy/LICENSE")
    get("toy", str(dist), bundle_dir=tmp_path / "bundles", patience=Patience(attempts=1))
    assert os.listdir(tmp_path / "bundles") == ["toy"]


def test_index_removes_half_a_catalogue(tmp_path, dead):
    pack("toy", tmp_path / "dist", root=toy.checkout(tmp_path))
    leave(tmp_path / "dist" / f".{dead}.index", "hf/api/x", "index.html")
    index(tmp_path / "dist", "https://example.org")
    assert not [name for name in os.listdir(tmp_path / "dist") if str(dead) in name]


def test_others_are_left_alone(tmp_path, dead):
    """Of running processes, for other names, and what only looks alike."""
    running = os.getppid()
    names = [
        f".{running}.toy",
        f".{dead}.toys",
        f".{dead}.toy.zip",
        f".{dead}toy",
        ".toy",
        f"{dead}.toy",
        "..toy",
    ]
    for name in names:
        leave(tmp_path / name)
    remove_leftovers(tmp_path / "toy")
    assert sorted(os.listdir(tmp_path)) == sorted(names)


def test_link_goes_without_what_it_leads_to(tmp_path, dead):
    leave(tmp_path / "mine", "file")
    (tmp_path / f".{dead}.toy").symlink_to(tmp_path / "mine")
    remove_leftovers(tmp_path / "toy")
    assert os.listdir(tmp_path) == ["mine"]
    assert (tmp_path / "mine" / "file").exists()
