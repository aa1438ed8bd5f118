"""Large files from the web, kept in a folder: a download that breaks off goes on with the next call."""

from __future__ import annotations

import fcntl
import http.client
import json
import re
import shutil
import sys
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from tqdm import tqdm

from common.disk import explained_disk_errors
from common.downloads.download import Patience, Transfer
from common.errors import InputError
from common.files import write_json

__all__ = ["fetch_file", "name_in"]

_LARGEST = 32 << 30  # bytes, of a file whose size the server does not say
_KEPT = "what has arrived is kept, and the same command goes on from there"


def name_in(url: str) -> str:
    """The file's name at the end of a URL, in characters that every disk takes; else "file"."""
    last = urllib.parse.unquote(urllib.parse.urlsplit(url).path).rpartition("/")[2]
    return re.sub(r"[^\w.+-]", "_", last).lstrip(".")[-120:] or "file"


def fetch_file(url: str, folder: str | Path, *, patience: Patience | None = None) -> Path:
    """Download a file into a folder, with a progress bar on stderr.

    A download that broke off goes on where it ended, provided that the server still has the same file
    (its ETag, or its date of change); else it starts over.

    Args:
        url: ``http`` or ``https``.
        folder: made if absent; of one URL alone, since a file that is there already is taken as it is.
        patience: how long to wait, and how often to try.

    Returns:
        The file, whole.

    Raises:
        InputError: it cannot be fetched or written, is a web page, or another process is fetching it.
    """
    folder = Path(folder)
    target = folder / name_in(url)
    if target.is_file():
        return target
    part = target.with_name(f"{target.name}.part")
    with explained_disk_errors(folder, _KEPT):
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(part) as file:
            try:
                _KeptTransfer(url, patience or Patience(), file, part).run()
            except InputError as error:
                file.flush()
                kept = f"; {_KEPT}" if part.stat().st_size else ""
                raise InputError(f"{error}{kept}") from error
            part.replace(target)
            _facts_of(part).unlink(missing_ok=True)
    return target


@contextmanager
def _alone(part: Path) -> Iterator[BinaryIO]:
    """The partial file, open and locked; an empty one is removed afterwards."""
    with part.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"{part}: another process is downloading this file; wait for it") from error
        try:
            yield file
        finally:
            file.flush()
            if part.is_file() and not part.stat().st_size:
                part.unlink()
                _facts_of(part).unlink(missing_ok=True)


def _facts_of(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


class _KeptTransfer(Transfer):
    """Appends to a partial file, and notes beside it which version of the file that is."""

    def __init__(self, url: str, patience: Patience, file: BinaryIO, part: Path) -> None:
        super().__init__(url, patience, most=_LARGEST)
        self._file, self._part = file, part
        self._version = _noted_version(part, url)
        if not self._version:
            file.truncate(0)
        self.received = part.stat().st_size
        self._bar: Any = None

    def run(self) -> None:
        """Write the whole file."""
        options = {"unit": "B", "unit_scale": True, "file": sys.stderr, "mininterval": 0.5}
        with tqdm(initial=self.received, desc=self._part.stem, **options) as self._bar:
            self.into(self._write, self._restart)
        self._file.flush()

    def _write(self, chunk: bytes) -> None:
        self._file.write(chunk)
        self._bar.update(len(chunk))

    def _restart(self) -> None:
        self._file.flush()
        self._file.truncate(0)
        self._bar.reset(total=self._bar.total)

    def range_headers(self) -> dict[str, str]:
        """Go on only within one version of the file."""
        return super().range_headers() | {"If-Range": self._version} if self._version else {}

    def goes_on(self, response: http.client.HTTPResponse) -> bool:
        """Whether the body goes on with the same version of the file."""
        return super().goes_on(response) and _version(response) in ("", self._version)

    def answered(self, response: http.client.HTTPResponse) -> None:
        """Refuse a web page; note version and size.

        Raises:
            InputError: a web page, or more than fits on the disk.
        """
        if response.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
            raise InputError(
                f"{self.url}: answers with a web page, not with a file. Open it in a browser, download the "
                "file there and give its path"
            )
        if not self.received:
            self._version = _version(response)
            write_json(_facts_of(self._part), {"url": self.url, "version": self._version})
        if response.length is not None:
            self.most = self.received + response.length
            free = shutil.disk_usage(self._part.parent).free
            if free < response.length:
                raise InputError(
                    f"{self._part.parent}: {free} bytes are free, {response.length} are needed; free some"
                )
            self._bar.total = self.most
            self._bar.refresh()


def _version(response: http.client.HTTPResponse) -> str:
    """What tells this file from an earlier or later one at the same address; empty if nothing does."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


def _noted_version(part: Path, url: str) -> str:
    try:
        noted = json.loads(_facts_of(part).read_text(encoding="utf-8"))
        return str(noted["version"]) if noted["url"] == url else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""
