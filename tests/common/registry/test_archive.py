"""Zips that mean harm, and zips that are not as packing writes them."""

from __future__ import annotations

import os
import random
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


def with_nul(name, content):
    """The name goes on behind a NUL, where zipfile stops reading it; written as it stands."""
    member = zipfile.ZipInfo(name)
    member.filename = f"{name}\0.txt"
    return member, content


def compressed(name, method):
    member = zipfile.ZipInfo(name)
    member.compress_type = method
    return member, b"x" * 100


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
    "in disguise, dot": (lambda m: [*m, ("toy/./configs/metadata.json", b"{}")], "is a path in disguise"),
    "in disguise, slashes": (lambda m: [*m, ("toy//configs/metadata.json", b"{}")], "is a path in disguise"),
    "in disguise, dot first": (lambda m: [*m, ("./toy/LICENSE", b"")], "is a path in disguise"),
    "in disguise, NUL": (lambda m: [*m, with_nul("toy/x", b"")], "has characters that cannot be shown"),
    "accents": (lambda m: [*m, ("toy/\u00e9", b""), ("toy/e\u0301", b"")], "occurs twice"),
    "escapes": (lambda m: [*m, ("toy/\x1b[2J", b"")], "has characters that cannot be shown"),
    "file and folder": (lambda m: [*m, ("toy/LICENSE/", b"")], "occurs twice"),
    "below a file": (lambda m: [*m, ("toy/License/x", b"")], "lies below a file"),
    "long name": (lambda m: [*m, ("toy/" + "é" * 128, b"")], "has too long a name"),
    "long path": (lambda m: [*m, ("toy/" + "x/" * 600 + "x", b"")], "has too long a name"),
    "top folder is a file": (lambda m: [("toy", b"")], "is not below the folder toy/"),
    "LZMA": (lambda m: [*m, compressed("toy/x", zipfile.ZIP_LZMA)], "is compressed by another method"),
    "bzip2": (lambda m: [*m, compressed("toy/x", zipfile.ZIP_BZIP2)], "is compressed by another method"),
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
    """``old`` in a file becomes ``new``; all of it without ``old``."""
    return lambda members: [
        (n, c if n != file else new if old is None else c.replace(old, new)) for n, c in members
    ]


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


def test_damage_anywhere_is_an_input_error(tmp_path):
    """Bytes drawn anew, bits turned, pieces cut out: a good zip or one line, never another exception."""
    root = toy.checkout(tmp_path)
    (root / "bundles/toy/models/model.pt").unlink()
    path, draw, refused = pack("toy", tmp_path / "dist", root=root), random.Random(0), 0
    toy.rewrite(path, lambda members: members, zipfile.ZIP_DEFLATED)
    whole = path.read_bytes()
    headers = [i for i in range(len(whole)) if whole.startswith(b"PK", i)]
    places = [*(i + draw.randrange(50) for i in headers for _ in range(20)), *range(0, len(whole), 20)]
    for _ in range(400):
        content = bytearray(whole)
        for _ in range(draw.randint(1, 3)):
            at = draw.choice(places)
            content[at : at + draw.choice((0, 1, 1, 4))] = draw.randbytes(draw.choice((1, 1, 4, 8)))
        path.write_bytes(content)
        try:
            verify(path)
        except InputError:
            refused += 1
    assert refused > 300


@pytest.mark.parametrize("depth", [10, 100_000])
def test_metadata_that_are_no_object(depth, packed):
    toy.rewrite(packed, replaced("toy/configs/metadata.json", None, b"[" * depth))
    with pytest.raises(InputError, match=r"metadata\.json is not JSON"):
        verify(packed)


def test_metadata_that_are_no_text(packed):
    toy.rewrite(packed, replaced("toy/configs/metadata.json", None, b"\xff"))
    with pytest.raises(InputError, match=r"metadata\.json is not UTF-8"):
        verify(packed)


def test_metadata_larger_than_memory_should_hold(packed):
    """Below a hundredfold of the zip."""
    huge = b"".join(b"x" * 1000 + os.urandom(50) for _ in range(17_000))
    toy.rewrite(packed, replaced("toy/configs/metadata.json", None, huge), zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match=r"metadata\.json has 17850000 bytes; at most 16777216"):
        verify(packed)


def test_zip_that_may_not_be_read(packed, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("zipfile.ZipFile", refuse)
    with pytest.raises(InputError, match=r"cannot be read \(Permission denied\)"):
        verify(packed)


@pytest.mark.parametrize(("content", "message"), [(None, "no such file"), (b"zip", "not a zip")])
def test_no_zip(content, message, tmp_path):
    path = tmp_path / "toy_v0.1.0.zip"
    if content:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        verify(path)
