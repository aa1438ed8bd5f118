"""A large file over a connection that breaks: what has arrived is kept, and never mixed with another file."""

from __future__ import annotations

import fcntl
import os

import pytest

from common.downloads.download import Patience
from common.downloads.kept import fetch_file, name_in
from common.errors import InputError
from tests.common.downloads.servers import serving

QUICK = Patience(timeout=1.0, attempts=1, pause=0.01)
BODY = os.urandom(50_000)
FILE = "/a%20network.pth"


@pytest.fixture
def server(tmp_path):
    served = tmp_path / "served"
    served.mkdir()
    (served / "a network.pth").write_bytes(BODY)
    with serving(served) as running:
        yield running


def ranges(etag, *, most=None, body=BODY):
    """A server that knows ranges and If-Range, and sends ``most`` bytes an answer at most."""

    def answer(handler, _):
        begin = 0
        if handler.headers["If-Range"] == etag:
            begin = int(handler.headers["Range"].removeprefix("bytes=").rstrip("-"))
        span = {"Content_Range": f"bytes {begin}-{len(body) - 1}/{len(body)}"} if begin else {}
        content = body[begin:][:most]
        handler.answer(content, code=206 if begin else 200, length=len(body) - begin, ETag=etag, **span)

    return answer


def fetched(server, folder, patience=QUICK):
    return fetch_file(f"{server.url}{FILE}?download=1", folder, patience=patience)


def test_the_next_call_goes_on_where_the_last_one_broke_off(server, tmp_path, capfd):
    server.lies["/a network.pth"] = ranges('"1"', most=20_000)
    with pytest.raises(InputError, match=r"20000 bytes arrived.*what has arrived is kept"):
        fetched(server, tmp_path / "kept")
    assert not (tmp_path / "kept" / "a_network.pth").exists()
    with pytest.raises(InputError, match="40000 bytes arrived"):
        fetched(server, tmp_path / "kept")
    file = fetched(server, tmp_path / "kept")
    assert file == tmp_path / "kept" / "a_network.pth"
    assert file.read_bytes() == BODY
    assert list(file.parent.iterdir()) == [file]
    assert [line.partition("bytes=")[2] for line in server.seen] == ["", "20000-", "40000-"]
    assert "100%" in capfd.readouterr().err


def test_a_whole_file_is_not_fetched_again(server, tmp_path):
    first = fetched(server, tmp_path)
    assert fetched(server, tmp_path) == first
    assert len(server.seen) == 1


def test_another_file_at_the_same_address_starts_over(server, tmp_path):
    server.lies["/a network.pth"] = ranges('"1"', most=20_000)
    with pytest.raises(InputError):
        fetched(server, tmp_path / "kept")
    server.lies["/a network.pth"] = ranges('"2"', body=BODY[::-1])
    assert fetched(server, tmp_path / "kept").read_bytes() == BODY[::-1]


def test_server_that_ignores_if_range_is_found_out(server, tmp_path):
    server.lies["/a network.pth"] = ranges('"1"', most=20_000)
    with pytest.raises(InputError):
        fetched(server, tmp_path / "kept")

    def careless(handler, _):
        begin = int((handler.headers["Range"] or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        span = {"Content_Range": f"bytes {begin}-49999/50000"} if begin else {}
        handler.answer(BODY[::-1][begin:], code=206 if begin else 200, ETag='"2"', **span)

    server.lies["/a network.pth"] = careless
    again = Patience(timeout=1.0, attempts=2, pause=0.01)
    assert fetched(server, tmp_path / "kept", again).read_bytes() == BODY[::-1]


def test_without_a_version_a_file_starts_over(server, tmp_path):
    server.lies["/a network.pth"] = lambda handler, _: handler.answer(BODY[:1000], length=len(BODY))
    with pytest.raises(InputError, match="1000 bytes arrived"):
        fetched(server, tmp_path / "kept")
    del server.lies["/a network.pth"]
    assert fetched(server, tmp_path / "kept").read_bytes() == BODY
    assert server.seen[-1].endswith(".pth"), "no range"


def test_web_page_is_no_file(server, tmp_path):
    page = b"<html>Sign in</html>"
    server.lies["/a network.pth"] = lambda h, _: h.answer(page, Content_Type="text/html; charset=utf-8")
    with pytest.raises(InputError, match=r"answers with a web page, not with a file\. Open it in a browser"):
        fetched(server, tmp_path / "kept")
    assert not any((tmp_path / "kept").iterdir())


def test_more_than_fits_on_the_disk(server, tmp_path):
    server.lies["/a network.pth"] = lambda handler, _: handler.answer(b"", length=1 << 60)
    with pytest.raises(InputError, match="bytes are free, 1152921504606846976 are needed"):
        fetched(server, tmp_path / "kept")
    assert not any((tmp_path / "kept").iterdir())


def test_two_processes_do_not_write_one_file(server, tmp_path):
    with (tmp_path / "a_network.pth.part").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another process is downloading this file"):
            fetched(server, tmp_path)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://example.org/a/b.pth?download=1", "b.pth"),
        ("https://example.org/..%2F..%2F.bashrc", "bashrc"),
        ("https://example.org", "file"),
        ("https://example.org/%00%0A;rm", "___rm"),
    ],
)
def test_names_of_files(url, name):
    assert name_in(url) == name
