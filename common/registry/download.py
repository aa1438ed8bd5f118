"""Bytes from an ``http``, ``https`` or ``file`` URL, in bounded time: resumed, retried, never too many."""

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

from common.errors import InputError

__all__ = ["Patience", "as_url", "download", "read_small"]

_CHUNK = 1 << 16
_SMALL = 64 << 20  # an index of thousands of bundles is far below
_SCHEMES = ("http", "https", "file")


@dataclass(frozen=True)
class Patience:
    """How long to wait, and how often to try.

    Args:
        timeout: seconds for a connection, and for ``slowest * timeout`` bytes to arrive on it.
        attempts: connections in all; each goes on where the last one broke off.
        pause: seconds before the second attempt; doubles with each further one.
        slowest: bytes a second below which a connection counts as stalled.
    """

    timeout: float = 20
    attempts: int = 4
    pause: float = 1
    slowest: float = 256


class _BrokenError(Exception):
    """This connection failed; another may not."""


def as_url(place: str) -> str:
    """A URL as it is, a path as a ``file`` URL.

    Raises:
        InputError: a scheme that is not read.
    """
    scheme = urllib.parse.urlsplit(place).scheme
    if scheme in _SCHEMES:
        return place
    if "://" in place:
        raise InputError(f"{place}: cannot read {scheme}; expected http, https, file or a path")
    return Path(place).absolute().as_uri()


def read_small(url: str, patience: Patience) -> bytes:
    """A small file as bytes.

    Raises:
        InputError: it cannot be had, or is not small.
    """
    parts: list[bytes] = []
    _Transfer(url, patience, most=_SMALL).into(parts.append, parts.clear)
    return b"".join(parts)


def download(url: str, target: Path, size: int, patience: Patience) -> None:
    """Write ``size`` bytes of a URL to ``target``, with a progress bar on stderr.

    Raises:
        InputError: it cannot be had, or has another size; what arrived stays in ``target``.
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

        received = _Transfer(url, patience, most=size).into(write, restart)
    if received != size:
        raise InputError(f"{url}: has {received} bytes, the index says {size}; nothing was kept")


@dataclass
class _Transfer:
    """One file over as many connections as patience allows."""

    url: str
    patience: Patience
    most: int
    received: int = field(default=0, init=False)

    def into(self, write: Callable[[bytes], object], restart: Callable[[], object]) -> int:
        """Hand all bytes to ``write`` in order; ``restart`` is called when they begin anew."""
        fault: Exception | None = None
        for attempt in range(self.patience.attempts):
            if attempt:
                time.sleep(self.patience.pause * 2 ** (attempt - 1))
            try:
                for chunk in self._chunks(restart):
                    self.received += len(chunk)
                    if self.received > self.most:
                        raise InputError(f"{self.url}: sends more than the expected {self.most} bytes")
                    write(chunk)
                return self.received
            except _BrokenError as error:
                fault = error
        raise InputError(
            f"{self.url}: {fault}; gave up after {self.patience.attempts} attempts, {self.received} bytes "
            "arrived. Try again later, or check the network and the proxy"
        ) from fault

    def _chunks(self, restart: Callable[[], object]) -> Iterator[bytes]:
        request = urllib.request.Request(self.url, headers={"User-Agent": "method-zoo"})
        if self.received and not self.url.startswith("file:"):
            request.add_header("Range", f"bytes={self.received}-")
        try:
            with urllib.request.urlopen(request, timeout=self.patience.timeout) as response:
                if self.received and not self._goes_on(response):
                    self.received = 0
                    restart()
                yield from self._body(response)
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code not in (408, 416, 429):
                raise InputError(f"{self.url}: the server says {error.code} {error.reason}") from error
            self.received = 0 if error.code == 416 else self.received  # another file than before
            raise _BrokenError(f"the server says {error.code} {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            if isinstance(getattr(error, "reason", error), FileNotFoundError | IsADirectoryError):
                raise InputError(f"{self.url}: there is no such file") from error
            raise _BrokenError(str(getattr(error, "reason", error)) or type(error).__name__) from error

    def _goes_on(self, response: Any) -> bool:
        """Whether the body begins where the last one ended."""
        found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
        return response.status == 206 and found is not None and int(found.group(1)) == self.received

    def _body(self, response: Any) -> Iterator[bytes]:
        announced = response.headers.get("Content-Length")
        left = int(announced) if announced and announced.isdigit() else None
        since, arrived = time.monotonic(), 0
        while chunk := response.read1(_CHUNK):
            yield chunk
            arrived += len(chunk)
            left = None if left is None else left - len(chunk)
            waited = time.monotonic() - since
            if waited > self.patience.timeout:
                if arrived < self.patience.slowest * waited:
                    raise _BrokenError(f"stalled: {arrived} bytes in {waited:.0f} s")
                since, arrived = time.monotonic(), 0
        if left:
            raise _BrokenError(f"the connection ended {left} bytes early")
