"""What ``index`` leaves alone, what it removes, and what a kill at any moment leaves behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from common.errors import InputError
from common.registry.index import index
from common.registry.pack import pack
from tests.common.registry import toy
from tests.contract.bundle import ROOT

URL = "https://example.org"


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def write(path, content=b"mine"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


MINE = ["pictures/holiday.png", "hf/notes.txt", "hf/api/models/mine", "pictures/toy/preview.png", "notes.txt"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_files_of_others_stay(when, tmp_path):
    """Whether they were there first or came later, also in folders that index made."""
    pack("toy", tmp_path / "dist", root=toy.checkout(tmp_path))
    if when == "after":
        index(tmp_path / "dist", URL)
    for file in MINE:
        write(tmp_path / "dist" / file)
    index(tmp_path / "dist", URL)
    index(tmp_path / "dist", URL, org="other")
    found = files(tmp_path / "dist")
    assert {found.get(file) for file in MINE} == {b"mine"}
    assert "hf/api/models/other/toy/refs" in found


IN_THE_WAY = ["index.html", "bundle_index.json", "hf", "pictures", "hf/api/models/method-zoo/toy/refs"]


@pytest.mark.parametrize("file", IN_THE_WAY)
def test_file_of_somebody_else_in_the_way(file, tmp_path):
    pack("toy", tmp_path / "dist", root=toy.checkout(tmp_path))
    write(tmp_path / "dist" / file)
    before = files(tmp_path / "dist")
    with pytest.raises(InputError, match=rf"{file}: is in the way and was not made by index; move it away"):
        index(tmp_path / "dist", URL)
    assert files(tmp_path / "dist") == before


def test_what_an_earlier_index_made_goes(tmp_path):
    """All files of a bundle that is no longer there, and the folders that are empty then."""
    dist = toy.dist(tmp_path, URL, "first", "second")
    (dist / "second_v0.1.0.zip").unlink()
    index(dist, URL)
    assert not [path for path in dist.rglob("*") if "second" in path.name]
    assert files(dist).keys() == files(toy.dist(tmp_path / "anew", URL, "first")).keys()


def test_list_of_files_is_no_way_out(tmp_path):
    """Somebody wrote into it."""
    dist = toy.dist(tmp_path, URL)
    for file in (tmp_path / "outside", dist / "inside"):
        file.touch()
    with (dist / ".made_by_index").open("a") as listed:
        listed.write(f"../outside\n{tmp_path}/outside\n/\n..\n")
    index(dist, URL)
    assert (tmp_path / "outside").exists()


def referred(dist):
    """What the page, the index and the tree for Hugging Face's client refer to, and is not there."""
    page = (dist / "index.html").read_text()
    places = set(re.findall(r'<img [^>]*src="([^"]*)"', page))
    places |= {f"{key}.zip" for key in json.loads((dist / "bundle_index.json").read_text())}
    api = dist / "hf/api/models/method-zoo/toy"
    refs = json.loads((api / "refs").read_text())
    for ref in [*refs["branches"], *refs["tags"]]:
        for revision in (ref["name"], ref["targetCommit"]):
            info = json.loads((api / "revision" / revision).read_text())
            files = [one["rfilename"] for one in info["siblings"]]
            places |= {f"hf/method-zoo/toy/resolve/{info['sha']}/{file}" for file in files}
            places.add(f"hf/api/models/method-zoo/toy/tree/{info['sha']}")
    return {place for place in places if not (dist / place).is_file()}


KILL = """
import os, signal, sys
from common.registry.index import index
left = int(sys.argv[2])
def counted(act):
    def wrapped(*args, **options):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return act(*args, **options)
    return wrapped
os.replace, os.unlink, os.rmdir = map(counted, (os.replace, os.unlink, os.rmdir))
index(sys.argv[1], "https://example.org")
"""


@pytest.mark.parametrize("at", [0, 1, 8, 16, 21, 24, 27, 33, 45])
def test_killed_index(at, tmp_path):
    """Nothing refers to what is not there, and the next run gives what an undisturbed one gives."""
    dist = toy.dist(tmp_path, URL)
    pack("toy", dist, root=toy.checkout(tmp_path / "newer", version="0.2.0"))
    write(dist / "pictures/mine.png")
    done = subprocess.run([sys.executable, "-c", KILL, dist, str(at)], cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    assert referred(dist) == set()
    index(dist, URL)
    pack("toy", tmp_path / "anew", root=toy.checkout(tmp_path / "older"))
    pack("toy", tmp_path / "anew", root=tmp_path / "newer")
    index(tmp_path / "anew", URL)
    assert files(dist) == files(tmp_path / "anew") | {"pictures/mine.png": b"mine"}
    assert [name for name in os.listdir(dist) if name.startswith(".")] == [".made_by_index"]
