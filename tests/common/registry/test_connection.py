"""Servers that hold a request for ever, fill the memory, or lead elsewhere: ``list`` and ``get`` give up."""

from __future__ import annotations

import resource
import time

import pytest

from common.downloads import connection
from common.downloads.download import Patience, read_small
from common.errors import InputError
from common.registry.fetch import get, read_index
from tests.common.downloads.servers import Handler, serving
from tests.common.registry import toy

QUICK = Patience(timeout=0.4, attempts=2, pause=0.01)
INDEX, ZIP = "/bundle_index.json", "/toy_v0.1.0.zip"
#: How long a server lies before it answers after all: a client without bounds then gets what it asked for.
LIE_S = 3.0
REQUEST_S = 2.5  # two attempts and what else there is, on a loaded machine


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    return toy.dist(tmp_path_factory.mktemp("served"), ".")


@pytest.fixture
def server(dist):
    with serving(dist) as running:
        yield running


def pour(handler: Handler, piece: bytes, pause: float = 0.0, most: int = 1 << 30) -> int:
    """Send a piece again and again until the lie ends or the client has gone; how many bytes it took."""
    end, sent = time.monotonic() + LIE_S, 0
    while time.monotonic() < end and sent < most and not handler.open_ended.wait(pause):
        handler.wfile.write(piece)
        sent += len(piece)
    return sent


def raw(handler: Handler, text: str) -> None:
    handler.wfile.write(text.replace("\n", "\r\n").encode())
    handler.close_connection = True


def dripping_status(handler, file):
    pour(handler, b"H", pause=0.05)


def dripping_header(handler, file):
    raw(handler, "HTTP/1.1 200 OK\nX: ")
    pour(handler, b"x", pause=0.05)
    raw(handler, f"\nContent-Length: {file.stat().st_size}\n\n")
    handler.wfile.write(file.read_bytes())


def endless_continue(handler, file):
    pour(handler, b"HTTP/1.1 100 Continue\r\n\r\n")
    handler.answer(file.read_bytes())


def dripping_continue(handler, file):
    pour(handler, b"HTTP/1.1 100 Continue\r\n\r\n", pause=0.05)
    handler.answer(file.read_bytes())


def chunked(handler, file):
    handler.protocol_version = "HTTP/1.1"
    raw(handler, "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n")
    body = file.read_bytes()
    handler.wfile.write(b"%x\r\n%s\r\n" % (len(body), body))


def endless_chunk_extensions(handler, file):
    raw(handler, "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n")
    body = file.read_bytes()
    piece, end = b";" + b"x" * 60_000, time.monotonic() + LIE_S
    for byte in body:
        if time.monotonic() > end:
            break
        handler.wfile.write(b"1%s\r\n%c\r\n" % (piece, byte))


def endless_trailer(handler, file):
    chunked(handler, file)
    raw(handler, "0\n")
    pour(handler, b"X: " + b"x" * 60_000 + b"\r\n")
    raw(handler, "\n")


def dripping_trailer(handler, file):
    chunked(handler, file)
    raw(handler, "0\n")
    pour(handler, b"X: x\r\n", pause=0.05)
    raw(handler, "\n")


LIES = [
    dripping_status,
    dripping_header,
    endless_continue,
    dripping_continue,
    endless_chunk_extensions,
    endless_trailer,
    dripping_trailer,
]


def ask(server, tmp_path, path):
    if path == INDEX:
        read_index(server.url, QUICK)
    else:
        get("toy", server.url, bundle_dir=tmp_path / "new", patience=QUICK)


@pytest.mark.parametrize("path", [INDEX, ZIP])
@pytest.mark.parametrize("lie", LIES)
def test_answer_without_end_is_given_up(lie, path, server, tmp_path):
    server.lies[path] = lie
    begin = time.monotonic()
    with pytest.raises(InputError, match=r"stalled|timed out|sends more than"):
        ask(server, tmp_path, path)
    assert time.monotonic() - begin < REQUEST_S
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("path", [INDEX, ZIP])
def test_honest_chunks(path, server, tmp_path):
    def honest(handler, file):
        chunked(handler, file)
        raw(handler, "0\n\n")

    server.lies[path] = honest
    ask(server, tmp_path, path)


def test_index_without_end_is_given_up(server, tmp_path):
    def endless(handler, _):
        raw(handler, "HTTP/1.1 200 OK\n\n")
        pour(handler, b" " * 100_000)

    server.lies[INDEX] = endless
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=r"sends more than the expected 4194304 bytes"):
        read_index(server.url, QUICK)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


def redirect(place, **headers):
    def lie(handler, _):
        handler.answer(b"", code=302, Location=place, **headers)

    return lie


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirect_is_followed(code, server, tmp_path):
    server.lies["/old.json"] = lambda handler, _: handler.answer(b"", code=code, Location="bundle_index.json")
    assert "toy_v0.1.0" in read_index(f"{server.url}/old.json", QUICK)[1]


@pytest.mark.parametrize("path", [INDEX, ZIP])
def test_body_of_a_redirect_is_not_read(path, server, dist, tmp_path):
    took = []

    def huge(handler, _):
        raw(handler, "HTTP/1.1 302 Found\nLocation: /elsewhere\n\n")
        try:
            took.append(pour(handler, b" " * 1_000_000, most=200_000_000))
        except OSError:
            took.append(0)

    server.lies[path] = huge
    server.lies["/elsewhere"] = lambda handler, _: handler.answer((dist / path[1:]).read_bytes())
    ask(server, tmp_path, path)
    server.closing.set()
    assert sum(took) < 20_000_000


def test_redirects_in_a_circle_are_given_up(server):
    server.lies[INDEX] = redirect(INDEX)
    with pytest.raises(InputError, match="redirects more than 5 times"):
        read_index(server.url, QUICK)
    assert len(server.seen) == 6


def test_redirects_have_one_deadline(server):
    """Each answers in time, all of them do not."""

    def late(handler, _):
        handler.open_ended.wait(0.3)
        handler.answer(b"", code=302, Location=INDEX)

    server.lies[INDEX] = late
    begin = time.monotonic()
    with pytest.raises(InputError, match=r"stalled|timed out"):
        read_index(server.url, QUICK)
    assert time.monotonic() - begin < 2 * QUICK.timeout + 0.5


@pytest.mark.parametrize(
    "place", ["ftp://127.0.0.1:1/x", "file:///etc/hostname", "FTP://127.0.0.1/", "data:,x", "http://["]
)
@pytest.mark.parametrize("path", [INDEX, ZIP])
def test_redirect_elsewhere_is_refused(place, path, server, tmp_path):
    server.lies[path] = redirect(place)
    with pytest.raises(InputError, match=r"redirects to|expected a URL of http or https") as error:
        ask(server, tmp_path, path)
    assert "\n" not in str(error.value)
    assert server.seen[-1] == f"GET {path}"


def test_redirect_from_https_to_http_is_refused():
    with pytest.raises(InputError, match=r"redirects to http://e\.org/, which is not encrypted"):
        connection._redirected("https://e.org/", "http://e.org/")
    assert connection._redirected("http://e.org/", "https://e.org/x y") == "https://e.org/x%20y"


def test_proxy_is_held_to_the_same_bounds(dist, monkeypatch):
    """It drips its answer to CONNECT."""

    class Proxy(Handler):
        def do_CONNECT(self):  # noqa: N802
            self.seen.append(f"CONNECT {self.path}")
            raw(self, "HTTP/1.1 200 OK\nX: ")
            pour(self, b"x", pause=0.05)

    with serving(dist, Proxy) as proxy:
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("https_proxy", proxy.url)
        begin = time.monotonic()
        with pytest.raises(InputError, match="gave up after 2 attempts"):
            read_small("https://zoo.invalid/bundle_index.json", QUICK)
        assert time.monotonic() - begin < REQUEST_S
        assert proxy.seen == ["CONNECT zoo.invalid:443"] * 2


@pytest.mark.parametrize("pause", [0.05, 10])
def test_handshake_without_end_is_given_up(pause, dist):
    """A TLS record that is announced, and then drips or does not come."""

    class Handshake(Handler):
        def handle(self):
            self.wfile.write(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc")
            pour(self, b"x", pause=pause)

    with serving(dist, Handshake) as server:
        begin = time.monotonic()
        with pytest.raises(InputError, match="gave up after 2 attempts"):
            read_index(server.url.replace("http:", "https:"), QUICK)
        assert time.monotonic() - begin < REQUEST_S


@pytest.mark.parametrize("folder", ["zöo", "a zoo", "100%"])
def test_url_with_other_characters(folder, tmp_path):
    with serving(tmp_path) as server:
        toy.dist(tmp_path / folder, f"{server.url}/{folder}/dist".replace("%", "%25"))
        place = f"{server.url}/{folder}/dist".replace("%", "%25")
        assert (get("toy", place, bundle_dir=tmp_path / "new", patience=QUICK) / "LICENSE").is_file()


def test_host_with_other_characters():
    assert (
        connection.ascii_url("https://bücher.example/ä?ö#ü") == "https://xn--bcher-kva.example/%C3%A4?%C3%B6"
    )
    assert connection.ascii_url("http://[::1]:80/") == "http://[::1]:80/"


@pytest.mark.parametrize(
    "url", ["http://", "http://[", "http://a:b/", f"http://{'a' * 64}.ü/", "http://a:99999/", "http:///x"]
)
def test_no_url(url):
    with pytest.raises(InputError, match=r"is no URL|expected a URL of http or https"):
        read_index(url, QUICK)


@pytest.mark.parametrize("value", ["²", "9" * 5000, "-1", "x"])
def test_length_that_is_no_number(value, server):
    def lie(handler, file):
        raw(handler, "HTTP/1.1 200 OK\nContent-Length: ")
        handler.wfile.write(f"{value}\r\n\r\n".encode("latin-1"))
        handler.wfile.write(file.read_bytes())

    server.lies[INDEX] = lie
    assert "toy_v0.1.0" in read_index(server.url, QUICK)[1]


@pytest.mark.parametrize(
    "place", ["file:///dev/zero", "/dev/zero", "file://elsewhere/etc/hostname", "file:///"]
)
def test_only_plain_files_are_read(place):
    with pytest.raises(InputError, match="there is no such file"):
        read_small(place if "://" in place else f"file://{place}", QUICK)


def test_file_larger_than_an_index(tmp_path):
    with (tmp_path / "big.json").open("wb") as file:
        file.truncate(10_000_000)
    with pytest.raises(InputError, match="sends more than the expected 4194304 bytes"):
        read_index(str(tmp_path / "big.json"))
