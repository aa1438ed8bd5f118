"""HTTP and HTTPS with bounds: no server decides how long its answer takes or how large it gets.

Every byte is counted as it leaves the socket, be it part of a status line, a header, an interim
``100 Continue``, a chunk's extension, a trailer or the body.  Redirects are followed here, since
:mod:`urllib.request` would read their bodies and go on to FTP.
"""

from __future__ import annotations

import functools
import http.client
import io
import socket
import string
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

from common.errors import InputError

__all__ = ["ExcessError", "Meter", "SlowError", "ascii_url", "open_url"]

_HEAD = 256 << 10  # all that may come before a body: headers, interim answers, redirects
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5
_MOST_ADDRESSES = 4  # of one host


class SlowError(Exception):
    """The answer takes longer than its meter allows."""


class ExcessError(Exception):
    """The answer is larger than its meter allows; the message says what it does."""


class Meter:
    """The time and the bytes that one request may still take, redirects included.

    The time is a leaky bucket.  It starts full, with ``timeout`` seconds; each byte that arrives adds
    ``1 / slowest`` seconds, and it never holds more than ``timeout``.  So a silent server is given up
    after ``timeout`` seconds, one that drips hardly later, and n bytes take ``timeout + n / slowest``
    seconds at most.

    Args:
        timeout: seconds without progress.
        slowest: bytes a second below which an answer counts as stalled.
    """

    def __init__(self, timeout: float, slowest: float) -> None:
        self.timeout = timeout
        self._slowest = slowest
        self._ends = time.monotonic() + timeout
        self._arrived, self._most = 0, _HEAD
        self._excess = f"sends more than {_HEAD} bytes before its content"

    def allow_body(self, size: int) -> None:
        """Let a body of ``size`` bytes in, with what chunked transfer adds to it."""
        self._most = self._arrived + size + size // 4 + _HEAD
        self._excess = f"sends more than {self._most - self._arrived} bytes for a content of {size}"

    def seconds_left(self) -> float:
        """How long to wait for the next byte; always above zero.

        Raises:
            SlowError: the time is up.
        """
        left = self._ends - time.monotonic()
        if left <= 0:
            raise SlowError(f"stalled: {self._arrived} bytes arrived, the last ones too slowly")
        return left

    def count(self, size: int) -> None:
        """Account for bytes that have arrived.

        Raises:
            ExcessError: they are too many.
        """
        self._arrived += size
        if self._arrived > self._most:
            raise ExcessError(self._excess)
        self._ends = min(self._ends + size / self._slowest, time.monotonic() + self.timeout)

    def connect(self, address: tuple[str, int], *_: Any) -> socket.socket:
        """Open a connection, as :func:`socket.create_connection` does."""
        found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[:_MOST_ADDRESSES]
        for tries_left, (family, kind, protocol, _, place) in zip(
            range(len(found), 0, -1), found, strict=True
        ):
            connection = socket.socket(family, kind, protocol)
            try:
                connection.settimeout(self.seconds_left() / tries_left)
                connection.connect(place)
                connection.settimeout(self.seconds_left())
                return connection
            except BaseException as error:
                connection.close()
                if tries_left == 1 or not isinstance(error, OSError):
                    raise
        raise OSError(f"{address[0]}: has no address")


class _MeteredReader(io.RawIOBase):
    """The bytes of a socket, all of them counted."""

    def __init__(self, connection: socket.socket, meter: Meter) -> None:
        self._connection, self._meter = connection, meter
        self._raw = connection.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._connection.settimeout(self._meter.seconds_left())
        size = self._raw.readinto(buffer)
        self._meter.count(size or 0)
        return size

    def close(self) -> None:
        self._raw.close()
        super().close()


class _MeteredResponse(http.client.HTTPResponse):
    def __init__(self, connection: socket.socket, *args: Any, meter: Meter, **options: Any) -> None:
        super().__init__(connection, *args, **options)
        self.fp.close()
        self.fp = io.BufferedReader(_MeteredReader(connection, meter))


def _metered(connection: http.client.HTTPConnection, meter: Meter) -> http.client.HTTPConnection:
    connection.response_class = functools.partial(_MeteredResponse, meter=meter)
    connection._create_connection = meter.connect
    return connection


class _Http(urllib.request.HTTPHandler):
    def __init__(self, meter: Meter) -> None:
        super().__init__()
        self._meter = meter

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        def connection(host: str, **options: Any) -> http.client.HTTPConnection:
            return _metered(http.client.HTTPConnection(host, **options), self._meter)

        return self.do_open(connection, request)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, meter: Meter) -> None:
        super().__init__()
        self._meter = meter

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        def connection(host: str, **options: Any) -> http.client.HTTPConnection:
            return _metered(http.client.HTTPSConnection(host, **options), self._meter)

        return self.do_open(connection, request)


def open_url(url: str, headers: Mapping[str, str], meter: Meter) -> http.client.HTTPResponse:
    """The answer to a GET request, to be closed by the caller; its body is metered when it is read.

    Raises:
        InputError: the URL, or one that it redirects to, must not be opened.
        urllib.error.HTTPError: the server refuses; to be closed by the caller.
        SlowError: the time is up.
        ExcessError: the headers are too large.
        OSError, http.client.HTTPException: the connection failed.
    """
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        _Http(meter),
        _Https(meter),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    place = ascii_url(url)
    for _ in range(_MOST_REDIRECTS + 1):
        request = urllib.request.Request(place, headers=dict(headers))
        try:
            return opener.open(request, timeout=meter.timeout)
        except urllib.error.HTTPError as error:
            target = error.headers.get("Location") if error.code in _REDIRECTS else None
            if target is None:
                raise
            error.close()
            place = _redirected(place, target)
    raise InputError(f"{url}: redirects more than {_MOST_REDIRECTS} times")


def ascii_url(url: str) -> str:
    """An ``http`` or ``https`` URL in the characters that the protocol knows.

    Raises:
        InputError: it is not a URL of these schemes.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host = host if host.isascii() else host.encode("idna").decode()
        path, query = (urllib.parse.quote(p, safe=string.punctuation) for p in (parts.path, parts.query))
    except ValueError as error:
        raise InputError(f"{url}: is no URL ({error})") from error
    if parts.scheme not in ("http", "https") or not host:
        raise InputError(f"{url}: expected a URL of http or https, with a host")
    place = f"[{host}]" if ":" in host else host
    place = place if port is None else f"{place}:{port}"
    return urllib.parse.urlunsplit((parts.scheme, place, path, query, ""))


def _redirected(url: str, target: str) -> str:
    try:
        # Headers reach us as Latin-1, whatever the server meant.
        joined = urllib.parse.urljoin(url, target.encode("latin-1", "replace").decode("utf-8", "replace"))
        scheme = urllib.parse.urlsplit(joined).scheme
    except ValueError as error:
        raise InputError(f"{url}: redirects to {target}, which is no URL ({error})") from error
    if scheme not in ("http", "https"):
        raise InputError(f"{url}: redirects to {joined}; expected http or https")
    if scheme == "http" and url.startswith("https:"):
        raise InputError(f"{url}: redirects to {joined}, which is not encrypted; expected https")
    return ascii_url(joined)
