"""Downloads from ``http``, ``https`` and ``file`` URLs: bounded in time and size, resumed, retried."""

from __future__ import annotations

import http.client
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from common.downloads.connection import ExcessError, Meter, SlowError, open_url
from common.errors import InputError

__all__ = ["Patience", "Transfer", "as_url", "download", "read_small"]

_CHUNK = 1 << 16
_SMALL = 4 << 20  # an index of thousands of bundles
_SCHEMES = ("http", "https", "file")


@dataclass(frozen=True)
class Patience:
    """How long to wait, and how often to try.

    A file of n bytes takes at most ``attempts * (timeout + n / slowest)`` seconds, plus the pauses.

    Args:
        timeout: seconds without progress after which a connection is given up.
        attempts: connections in all; each goes on where the last one broke off.
        pause: seconds before the second attempt; doubles with each further one.
        slowest: bytes a second below which a connection counts as stalled.
    """

    timeout: float = 20
    attempts: int = 4
    pause: float = 1
    slowest: float = 8192


class _BrokenError(Exception):
    """This connection failed; another may not."""


def as_url(place: str) -> str:
    """A URL as it is, a path as a ``file`` URL.

    Raises:
        InputError: it is not a URL, or its scheme is not supported.
    """
    try:
        scheme = urllib.parse.urlsplit(place).scheme
    except ValueError as error:
        raise InputError(f"{place}: is no URL ({error})") from error
    if scheme in _SCHEMES:
        return place
    if "://" in place:
        raise InputError(f"{place}: cannot read {scheme}; expected http, https, file or a path")
    return Path(place).absolute().as_uri()


def read_small(url: str, patience: Patience) -> bytes:
    """A small file as bytes.

    Raises:
        InputError: it cannot be fetched, or is not small.
    """
    parts: list[bytes] = []
    Transfer(url, patience, most=_SMALL).into(parts.append, parts.clear)
    return b"".join(parts)


def download(url: str, target: Path, size: int, patience: Patience) -> None:
    """Write ``size`` bytes of a URL to ``target``, with a progress bar on stderr.

    Raises:
        InputError: it cannot be fetched, or has another size; what arrived stays in ``target``.
        OSError: ``target`` cannot be written.
    """
    bar = tqdm(total=size, unit="B", unit_scale=True, desc=target.name, file=sys.stderr, mininterval=0.5)
    with bar, target.open("wb") as file:

        def write(chunk: bytes) -> None:
            file.write(chunk)
            bar.update(len(chunk))

        def restart() -> None:
            file.seek(0)
            file.truncate()
            bar.reset(total=size)

        received = Transfer(url, patience, most=size).into(write, restart)
    if received != size:
        raise InputError(f"{url}: has {received} bytes, the index says {size}; nothing was kept")


@dataclass
class Transfer:
    """One file, over no more connections than patience allows."""

    url: str
    patience: Patience
    most: int
    received: int = field(default=0, init=False)

    def into(self, write: Callable[[bytes], object], restart: Callable[[], object]) -> int:
        """Hand all bytes to ``write`` in order; ``restart`` is called when they start over."""
        if self.url.startswith("file:"):
            return self._pass(_file_chunks(self.url), write)
        fault: Exception | None = None
        for attempt in range(self.patience.attempts):
            if attempt:
                time.sleep(self.patience.pause * 2 ** (attempt - 1))
            try:
                return self._pass(self._chunks(restart), write)
            except _BrokenError as error:
                fault = error
        raise InputError(
            f"{self.url}: {fault}; gave up after {self.patience.attempts} attempts, {self.received} bytes "
            "arrived. Try again later, or check the network and the proxy"
        ) from fault

    def _pass(self, chunks: Iterator[bytes], write: Callable[[bytes], object]) -> int:
        for chunk in chunks:
            self.received += len(chunk)
            if self.received > self.most:
                raise InputError(f"{self.url}: sends more than the expected {self.most} bytes")
            write(chunk)
        return self.received

    def _chunks(self, restart: Callable[[], object]) -> Iterator[bytes]:
        meter = Meter(self.patience.timeout, self.patience.slowest)
        headers = {"User-Agent": "method-zoo", **(self.range_headers() if self.received else {})}
        try:
            with open_url(self.url, headers, meter) as response:
                if self.received and not self.goes_on(response):
                    self._start_over(restart)
                    if response.status == 206:
                        raise _BrokenError("the server sent another part than the one asked for")
                self.answered(response)
                meter.allow_body(self.most - self.received)
                yield from _body(response)
        except ExcessError as error:
            raise InputError(f"{self.url}: {error}") from error
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < 500 and error.code not in (408, 416, 429):
                raise InputError(f"{self.url}: the server says {error.code} {error.reason}") from error
            if error.code == 416:  # another file than before
                self._start_over(restart)
            raise _BrokenError(f"the server says {error.code} {error.reason}") from error
        except (OSError, http.client.HTTPException, SlowError) as error:
            raise _BrokenError(str(getattr(error, "reason", error)) or type(error).__name__) from error

    def _start_over(self, restart: Callable[[], object]) -> None:
        self.received = 0
        restart()

    def range_headers(self) -> dict[str, str]:
        """What to ask for, to go on where the last answer ended; nothing to start over."""
        return {"Range": f"bytes={self.received}-"}

    def answered(self, response: http.client.HTTPResponse) -> None:
        """Look at an answer before its body is read."""

    def goes_on(self, response: http.client.HTTPResponse) -> bool:
        """Whether the body begins where the last one ended."""
        found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
        return response.status == 206 and found is not None and found.group(1) == str(self.received)


def _body(response: Any) -> Iterator[bytes]:
    while chunk := response.read1(_CHUNK):
        yield chunk
    if response.length:
        raise _BrokenError(f"the connection ended {response.length} bytes early")


def _file_chunks(url: str) -> Iterator[bytes]:
    parts = urllib.parse.urlsplit(url)
    path = Path(urllib.request.url2pathname(parts.path))
    try:
        if parts.netloc not in ("", "localhost") or not path.is_file():
            raise InputError(f"{url}: there is no such file")
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{url}: cannot be read ({error})") from error
