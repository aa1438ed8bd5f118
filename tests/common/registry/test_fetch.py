"""``get`` from an honest server, from servers that lie, and from a folder."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from common.downloads.download import Patience
from common.errors import InputError
from common.registry.archive import digests
from common.registry.fetch import get, read_index
from common.registry.index import index
from common.registry.pack import pack
from tests.common.downloads.servers import serving
from tests.common.registry import toy

QUICK = Patience(timeout=0.4, attempts=3, pause=0.01)
ZIP = "/toy_v0.1.0.zip"


@pytest.fixture
def server(tmp_path):
    (tmp_path / "dist").mkdir()
    with serving(tmp_path / "dist") as running:
        toy.dist(tmp_path, running.url)
        yield running


def fetched(server, tmp_path, **options):
    return get("toy", server.url, bundle_dir=tmp_path / "new" / "bundles", patience=QUICK, **options)


def refused(server, tmp_path, match, **options):
    """It fails in one line and leaves nothing behind, not even a new folder."""
    with pytest.raises(InputError, match=match) as error:
        fetched(server, tmp_path, **options)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "new").exists()


def change_index(tmp_path, edit):
    path = tmp_path / "dist" / "bundle_index.json"
    entries = json.loads(path.read_text())
    edit(entries)
    path.write_text(json.dumps(entries))


def test_honest_server(server, tmp_path, capfd):
    folder = fetched(server, tmp_path)
    assert folder == tmp_path / "new/bundles/toy"
    assert os.listdir(folder.parent) == ["toy"]
    weights = "models/model.pt"
    assert (folder / weights).read_bytes() == (tmp_path / "checkout/bundles/toy" / weights).read_bytes()
    assert server.seen == ["GET /bundle_index.json", f"GET {ZIP}"]
    assert "100%" in capfd.readouterr().err


@pytest.mark.parametrize("form", ["url", "path", "folder"])
def test_from_a_folder(form, tmp_path):
    dist = toy.dist(tmp_path, (tmp_path / "dist").as_uri())
    file = dist / "bundle_index.json"
    place = {"url": file.as_uri(), "path": str(file), "folder": str(dist)}[form]
    folder = get("toy", place, bundle_dir=tmp_path / "bundles", patience=QUICK)
    assert (folder / "configs/metadata.json").is_file()


def test_newest_version_and_a_named_one(tmp_path):
    """0.10.0 is newer than 0.9.0."""
    dist = tmp_path / "dist"
    for version in ("0.9.0", "0.10.0"):
        pack("toy", dist, root=toy.checkout(tmp_path / version, version=version))
    index(dist, dist.as_uri())
    for asked, got in ((None, "0.10.0"), ("0.9.0", "0.9.0")):
        folder = get("toy", str(dist), version=asked, bundle_dir=tmp_path / f"for {asked}", patience=QUICK)
        assert json.loads((folder / "configs/metadata.json").read_text())["version"] == got
    with pytest.raises(InputError, match=r"no version 0.2.0 of toy; expected one of: 0.*9.0"):
        get("toy", str(dist), version="0.2.0", bundle_dir=tmp_path / "other", patience=QUICK)


def test_what_is_there_stays(server, tmp_path):
    (tmp_path / "new/bundles/toy/models").mkdir(parents=True)
    (tmp_path / "new/bundles/toy/models/model.pt").write_bytes(b"mine")
    with pytest.raises(InputError, match="is there already"):
        fetched(server, tmp_path)
    assert (tmp_path / "new/bundles/toy/models/model.pt").read_bytes() == b"mine"
    assert server.seen == []


def test_wrong_digest(server, tmp_path):
    """The zip is good and of the right size, but not the one that the index names."""
    change_index(tmp_path, lambda entries: entries["toy_v0.1.0"].update(sha256="0" * 64))
    refused(server, tmp_path, "sha256 is [0-9a-f]{64}, the index says 0{64}")


def test_longer_than_promised(server, tmp_path):
    change_index(tmp_path, lambda entries: entries["toy_v0.1.0"].update(size=100))
    refused(server, tmp_path, "sends more than the expected 100 bytes")


def test_truncated_body_every_time(server, tmp_path):
    server.lies[ZIP] = lambda h, f: h.answer(f.read_bytes()[:1000], length=f.stat().st_size)
    refused(server, tmp_path, r"ended \d+ bytes early; gave up after 3 attempts, 1000 bytes arrived")


def test_body_that_is_short_without_saying_so(server, tmp_path):
    server.lies[ZIP] = lambda h, f: h.answer(f.read_bytes()[:1000])
    refused(server, tmp_path, r"has 1000 bytes, the index says \d{4,}")


def test_broken_download_is_resumed(server, tmp_path):
    """Each connection gives 8000 bytes; the next asks for the rest."""

    def piecewise(handler, file):
        body = file.read_bytes()
        begin = int((handler.headers["Range"] or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        span = {"Content_Range": f"bytes {begin}-{len(body) - 1}/{len(body)}"} if begin else {}
        code = 206 if begin else 200
        handler.answer(body[begin : begin + 8000], code=code, length=len(body) - begin, **span)

    server.lies[ZIP] = piecewise
    assert (tmp_path / "dist/toy_v0.1.0.zip").stat().st_size > 16000
    assert (fetched(server, tmp_path) / "LICENSE").is_file()
    asked = [line for line in server.seen if ZIP in line]
    assert asked == [f"GET {ZIP}", f"GET {ZIP} bytes=8000-", f"GET {ZIP} bytes=16000-"]


def test_broken_download_starts_over_where_the_server_knows_no_ranges(server, tmp_path):
    def once(handler, file):
        del server.lies[ZIP]
        handler.answer(file.read_bytes()[:1000], length=file.stat().st_size)

    server.lies[ZIP] = once
    assert (fetched(server, tmp_path) / "LICENSE").is_file()


def test_range_that_begins_elsewhere_is_not_appended(server, tmp_path):
    def shifted(handler, file):
        body = file.read_bytes()
        if handler.headers["Range"]:
            del server.lies[ZIP]
            handler.answer(body[:500], code=206, Content_Range=f"bytes 0-499/{len(body)}")
        else:
            handler.answer(body[:1000], length=len(body))

    server.lies[ZIP] = shifted
    assert (fetched(server, tmp_path) / "LICENSE").is_file()
    assert server.seen[-3:] == [f"GET {ZIP}", f"GET {ZIP} bytes=1000-", f"GET {ZIP}"]


def test_server_that_is_busy_once(server, tmp_path):
    def once(handler, _):
        del server.lies[ZIP]
        handler.send_error(503)

    server.lies[ZIP] = once
    assert (fetched(server, tmp_path) / "LICENSE").is_file()


def test_absent_zip_is_not_asked_for_twice(server, tmp_path):
    server.lies[ZIP] = lambda handler, _: handler.send_error(404)
    refused(server, tmp_path, f"{ZIP}: the server says 404 Not Found")
    assert server.seen.count(f"GET {ZIP}") == 1


def test_silent_server(server, tmp_path):
    """Sends headers and then nothing."""

    def silent(handler, file):
        handler.answer(b"", length=file.stat().st_size)
        handler.open_ended.wait(4)

    server.lies[ZIP] = silent
    begin = time.monotonic()
    refused(server, tmp_path, "timed out; gave up after 3 attempts")
    assert time.monotonic() - begin < 10


def test_dripping_server(server, tmp_path):
    """A byte now and then keeps a socket alive for ever, but is no download."""

    def drip(handler, file):
        handler.answer(b"", length=file.stat().st_size)
        for _ in range(80):
            if not handler.open_ended.wait(0.05):
                handler.wfile.write(b"x")

    server.lies[ZIP] = drip
    begin = time.monotonic()
    refused(server, tmp_path, "(stalled|timed out).*; gave up after 3 attempts")
    assert time.monotonic() - begin < 10


def test_file_that_shrank_meanwhile_starts_over(server, tmp_path):
    """The server has no bytes from there on; what came before is of another file."""

    def vanished(handler, file):
        del server.lies[ZIP]
        handler.send_error(416)

    def once(handler, file):
        server.lies[ZIP] = vanished
        handler.answer(b"x" * 1000, length=file.stat().st_size)

    server.lies[ZIP] = once
    assert (fetched(server, tmp_path) / "LICENSE").is_file()


EVIL = {
    "zip slip": (lambda members: [*members, ("toy/../../../evil", b"")], "leaves the folder"),
    "wrong top folder": (lambda m: [(n.replace("toy/", "toys/", 1), c) for n, c in m], "is not below"),
    "another version": (
        lambda m: [(n, c.replace(b"0.1.0", b"0.3.0") if n.endswith("data.json") else c) for n, c in m],
        "says version 0.3.0",
    ),
}


@pytest.mark.parametrize("kind", EVIL)
def test_evil_zip_with_a_true_digest(kind, server, tmp_path):
    edit, message = EVIL[kind]
    path = tmp_path / "dist" / ZIP[1:]
    toy.rewrite(path, edit)
    change_index(tmp_path, lambda entries: entries["toy_v0.1.0"].update(digests(path)))
    refused(server, tmp_path, message)
    assert not list(tmp_path.rglob("evil"))


BAD_INDEX = {
    "not JSON": (b"<html>", "is not JSON"),
    "a list": (b"[]", "is no index"),
    "deep": (b"[" * 100_000, "is not JSON"),
    "no text": (b"\xff", "is not JSON"),
    "huge version": (b'{"toy_v1.0.%s": {}}' % (b"9" * 5000), "no good|expected"),
    "no URL": (b'{"toy_v0.1.0": {"source": "http://[", "sha256": "0", "size": 5}}', "is no URL"),
    "no bundle": (b'{"other_v1.0.0": {}}', "has no toy; expected one of: other"),
    "no digest": (b'{"toy_v0.1.0": {"source": "x", "size": 5}}', "lacks a good sha256"),
    "no size": (b'{"toy_v0.1.0": {"source": "x", "sha256": "0", "size": -1}}', "lacks a good size"),
    "file": (
        b'{"toy_v0.1.0": {"source": "file:///etc/hostname", "sha256": "0", "size": 5}}',
        "points to file:///etc/hostname",
    ),
    "ftp": (b'{"toy_v0.1.0": {"source": "ftp://a/b", "sha256": "0", "size": 5}}', "points to ftp://a/b"),
}


@pytest.mark.parametrize("kind", BAD_INDEX)
def test_bad_index(kind, server, tmp_path):
    content, message = BAD_INDEX[kind]
    (tmp_path / "dist/bundle_index.json").write_bytes(content)
    refused(server, tmp_path, message)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("http://127.0.0.1:1/", "gave up after 3 attempts"),
        ("ftp://127.0.0.1/", "cannot read ftp"),
        ("/nowhere/at/all", "there is no such file"),
    ],
)
def test_no_index(place, message):
    with pytest.raises(InputError, match=message):
        read_index(place, QUICK)


def test_full_disk(server, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10}))
    refused(server, tmp_path, "10 bytes are free")


def test_folder_that_cannot_be_written(server, tmp_path):
    Path(tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write there"):
        get("toy", server.url, bundle_dir=tmp_path / "file", patience=QUICK)
