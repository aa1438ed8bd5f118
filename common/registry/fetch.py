"""Fetch a bundle from an index: download, check, unpack aside, rename into place."""

from __future__ import annotations

import shutil
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common.disk import explained_disk_errors
from common.downloads.download import Patience, as_url, download, read_small
from common.errors import InputError
from common.json_file import parse_json
from common.leftovers import remove_leftovers, temporary_beside
from common.registry.archive import unpack
from common.registry.entries import key_of, newest, split_key, zip_name
from common.registry.lock import Pin, add_pin, digest_of, read_lock
from common.registry.verify import require_digest, verify

__all__ = ["get", "read_index"]

_INDEX = "bundle_index.json"


def read_index(place: str, patience: Patience | None = None) -> tuple[str, dict[str, dict[str, Any]]]:
    """The URL of an index and its entries.

    Args:
        place: URL or path of ``bundle_index.json``, or of its folder.
        patience: how long to wait for it.

    Raises:
        InputError: it cannot be fetched, or is not an index.
    """
    url = as_url(str(place))
    if not urllib.parse.urlsplit(url).path.endswith(".json"):
        url = f"{url.rstrip('/')}/{_INDEX}"
    content = read_small(url, patience or Patience())
    try:
        index = parse_json(content)
    except ValueError as error:
        raise InputError(f"{url}: is not JSON ({error}); expected a {_INDEX}") from error
    if not isinstance(index, dict) or not all(isinstance(entry, dict) for entry in index.values()):
        raise InputError(f"{url}: is no index; expected an object of <name>_v<version> -> entry")
    return url, index


def get(
    name: str,
    index: str,
    *,
    version: str | None = None,
    sha256: str | None = None,
    lock: str | Path | None = None,
    bundle_dir: str | Path = ".",
    patience: Patience | None = None,
) -> Path:
    """Fetch a bundle into ``bundle_dir/<name>`` and return that folder.

    Args:
        name: the bundle.
        index: URL or path of ``bundle_index.json``, or of its folder.
        version: by default the one in the lock file, else the newest.
        sha256: that the zip must have, from a source other than the index.
        lock: a lock file; fetches the zip that it names, or adds the bundle if it is new there.
        bundle_dir: where bundles lie, as MONAI's ``bundle_dir``; made if absent.
        patience: how long to wait, and how often to try.

    Raises:
        InputError: it cannot be fetched, is not what the index, the lock file or ``sha256`` says, or the
            folder exists already; nothing is left behind.
    """
    patience = patience or Patience()
    folder = Path(bundle_dir).absolute()
    if (folder / name).exists() or (folder / name).is_symlink():
        raise InputError(
            f"{folder / name}: is there already; move it away (it may hold your weights), "
            "or choose another --bundle_dir"
        )
    pin = None if lock is None else read_lock(Path(lock)).get(name)
    version, sha256 = _wanted(name, version, sha256, pin, lock)
    url, entries = read_index(index, patience)
    version, entry = _choose(url, entries, name, version)
    if sha256 not in (None, entry["sha256"]):
        raise InputError(
            f"{url}: sha256 of {key_of(name, version)} is {entry['sha256']}, "
            f"{lock if pin else '--sha256'} says {sha256}; this is another zip: nothing was fetched"
        )
    source = _source_of(url, entry)
    with _aside(folder, name, 2 * entry["size"]) as aside:
        file = aside / zip_name(name, version)
        download(source, file, entry["size"], patience)
        require_digest(file, entry, shown=source)
        verify(file)
        unpack(file, aside / "unpacked", name)
        if lock is not None and pin is None:
            add_pin(Path(lock), name, Pin(version, entry["sha256"]))
        (aside / "unpacked" / name).rename(folder / name)
    return folder / name


def _wanted(
    name: str, version: str | None, sha256: str | None, pin: Pin | None, lock: str | Path | None
) -> tuple[str | None, str | None]:
    """Version and digest that were asked for, on the command line or by the lock file."""
    if sha256 is not None:
        sha256 = digest_of(sha256, "--sha256")
    if pin is None:
        return version, sha256
    for asked, locked in ((version, pin.version), (sha256, pin.sha256)):
        if asked not in (None, locked):
            raise InputError(
                f"{lock}: {name} is locked to {locked}, not {asked}; remove its entry there to change that"
            )
    return pin.version, pin.sha256


def _choose(
    url: str, entries: Mapping[str, dict[str, Any]], name: str, version: str | None
) -> tuple[str, dict[str, Any]]:
    there = [split_key(key) for key in entries]
    versions = [v for n, v in there if n == name]
    if not versions:
        raise InputError(f"{url}: has no {name}; expected one of: {', '.join(sorted({n for n, _ in there}))}")
    chosen = str(version or newest(versions))
    if chosen not in versions:
        raise InputError(f"{url}: has no version {chosen} of {name}; expected one of: {', '.join(versions)}")
    key = key_of(name, chosen)
    entry = entries[key]
    kinds = {"source": str, "sha256": str, "size": int}
    wrong = [field for field, kind in kinds.items() if not isinstance(entry.get(field), kind)]
    if wrong or entry["size"] <= 0:
        raise InputError(f"{url}: the entry {key} lacks a good {', '.join(wrong or ['size'])}")
    return chosen, entry


def _source_of(url: str, entry: Mapping[str, Any]) -> str:
    try:
        source = urllib.parse.urljoin(url, entry["source"])
        scheme = urllib.parse.urlsplit(source).scheme
    except ValueError as error:
        raise InputError(f"{url}: points to {entry['source']}, which is no URL ({error})") from error
    if scheme not in ("http", "https") and not (scheme == "file" and url.startswith("file:")):
        raise InputError(f"{url}: points to {source}; expected http or https")
    return source


@contextmanager
def _aside(folder: Path, name: str, needed: int) -> Iterator[Path]:
    """A temporary folder on the same disk, removed afterwards; on failure with the parents made for it."""
    made = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    aside = temporary_beside(folder / name)
    try:
        with explained_disk_errors(folder, "nothing was unpacked"):
            folder.mkdir(parents=True, exist_ok=True)
            remove_leftovers(folder / name)
            free = shutil.disk_usage(folder).free
            if free < needed:
                raise InputError(
                    f"{folder}: {free} bytes are free, {needed} are needed; free some or use another"
                )
            aside.mkdir()
            try:
                yield aside
            finally:
                shutil.rmtree(aside, ignore_errors=True)
    except BaseException:
        for parent in made:
            if parent.is_dir() and not any(parent.iterdir()):
                parent.rmdir()
        raise
