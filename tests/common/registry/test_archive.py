"""Zips that want to do harm, and zips that are not as packing writes them."""

from __future__ import annotations

import stat
import zipfile

import pytest

from common.errors import InputError
from common.registry.archive import digests, unpack
from common.registry.pack import pack
from common.registry.verify import verify
from tests.common.registry import toy


@pytest.fixture
def packed(tmp_path):
    return pack("toy", tmp_path / "dist", root=toy.checkout(tmp_path))


def info(name, mode):
    member = zipfile.ZipInfo(name)
    member.create_system, member.external_attr = 3, mode << 16
    return member


EVIL = {
    "absolute": (lambda m: [*m, ("/tmp/evil", b"")], "has an absolute path"),
    "drive": (lambda m: [*m, ("C:/evil", b"")], "has an absolute path"),
    "parent": (lambda m: [*m, ("toy/../../evil", b"")], "leaves the folder"),
    "backslash": (lambda m: [*m, ("toy/..\\..\\evil", b"")], "leaves the folder"),
    "link": (lambda m: [*m, (info("toy/link", stat.S_IFLNK | 0o777), b"/etc")], "is a link or a device"),
    "fifo": (lambda m: [*m, (info("toy/pipe", stat.S_IFIFO | 0o666), b"")], "is a link or a device"),
    "wrong top folder": (lambda m: [(n.replace("toy/", "toys/", 1), c) for n, c in m], "is not below"),
    "beside the top folder": (lambda m: [*m, ("evil.py", b"")], "is not below the folder toy/"),
    "twice": (lambda m: [*m, ("toy/License", b"")], "occurs twice"),
    "empty": (lambda m: [], "holds 0 files"),
    "crowd": (lambda m: [(f"toy/{i}", b"") for i in range(10_001)], "holds 10001 files"),
}


@pytest.mark.parametrize("kind", EVIL)
def test_evil_member(kind, packed, tmp_path):
    edit, message = EVIL[kind]
    toy.rewrite(packed, edit)
    target = tmp_path / "deep" / "target"
    for act in (lambda: unpack(packed, target, "toy"), lambda: verify(packed)):
        with pytest.raises(InputError, match=message):
            act()
    assert not target.exists()
    assert not list(tmp_path.rglob("evil*"))


def test_size_bomb(tmp_path):
    path = tmp_path / "toy_v0.1.0.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("toy/zeros", b"\0" * 20_000_000)
    with pytest.raises(InputError, match="would unpack to 20000000"):
        unpack(path, tmp_path / "target", "toy")
    assert not (tmp_path / "target").exists()


def test_size_bomb_with_a_modest_header(tmp_path):
    """The declared size is a lie: no more than it is written, and the zip counts as damaged."""
    path = tmp_path / "toy_v0.1.0.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("toy/zeros", b"\0" * 20_000_000)
    size = (20_000_000).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(size, (1000).to_bytes(4, "little")))
    with pytest.raises(InputError, match="damaged"):
        unpack(path, tmp_path / "target", "toy")
    assert sum(file.stat().st_size for file in tmp_path.rglob("zeros")) <= 1000


def test_verify_accepts_what_pack_writes(packed):
    assert verify(packed, digests(packed))["version"] == "0.1.0"


def without(file):
    return lambda members: [(name, content) for name, content in members if name != file]


def replaced(file, old, new):
    return lambda members: [(n, c.replace(old, new) if n == file else c) for n, c in members]


WRONG = {
    "no licence": (without("toy/LICENSE"), "has no toy/LICENSE"),
    "no package": (without("toy/toy/__init__.py"), "has no toy/toy/__init__.py"),
    "no metadata": (without("toy/configs/metadata.json"), "has no toy/configs/metadata.json"),
    "metadata": (replaced("toy/configs/metadata.json", b"{", b"["), "metadata.json is not JSON"),
    "another version": (
        replaced("toy/configs/metadata.json", b"0.1.0", b"0.3.0"),
        "says version 0.3.0, the file's name says 0.1.0",
    ),
    "another common": (
        replaced("toy/common/__init__.py", b"0.1.0", b"0.2.0"),
        'packed with common "0.1.0" but carries "0.2.0"',
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_verify_says_what_is_wrong(kind, packed):
    edit, message = WRONG[kind]
    toy.rewrite(packed, edit)
    with pytest.raises(InputError, match=message):
        verify(packed)


def test_flipped_bit(packed):
    content = packed.read_bytes()
    at = content.index(b"weights weights")
    packed.write_bytes(content[:at] + b"W" + content[at + 1 :])
    with pytest.raises(InputError, match=r"toy/models/model.pt is damaged"):
        verify(packed)


@pytest.mark.parametrize("key", ["checksum", "sha256", "size"])
def test_other_digest(key, packed):
    entry = digests(packed)
    other = entry["size"] + 1 if key == "size" else "0" * len(entry[key])
    with pytest.raises(InputError, match=f"{key} is .*, the index says {other}"):
        verify(packed, {**entry, key: other})


def test_entry_without_a_digest(packed):
    with pytest.raises(InputError, match="the index says None"):
        verify(packed, {"size": packed.stat().st_size})


@pytest.mark.parametrize(("content", "message"), [(None, "no such file"), (b"zip", "not a zip")])
def test_no_zip(content, message, tmp_path):
    path = tmp_path / "toy_v0.1.0.zip"
    if content:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        verify(path)
