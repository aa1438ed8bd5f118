"""Fetch a bundle that an index lists: checked first, unpacked aside, then renamed into place."""

from __future__ import annotations

import json
import shutil
import tempfile
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common.errors import InputError
from common.registry.archive import unpack
from common.registry.download import Patience, as_url, download, read_small
from common.registry.entries import key_of, newest, split_key, zip_name
from common.registry.verify import require_digest, verify

__all__ = ["get", "read_index"]

_INDEX = "bundle_index.json"


def read_index(place: str, patience: Patience | None = None) -> tuple[str, dict[str, dict[str, Any]]]:
    """The URL of an index and its entries.

    Args:
        place: URL or path of ``bundle_index.json``, or of its folder.
        patience: how long to wait for it.

    Raises:
        InputError: it cannot be had, or is no index.
    """
    url = as_url(str(place))
    if not urllib.parse.urlsplit(url).path.endswith(".json"):
        url = f"{url.rstrip('/')}/{_INDEX}"
    try:
        index = json.loads(read_small(url, patience or Patience()))
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{url}: is not JSON ({error}); expected a {_INDEX}") from error
    if not isinstance(index, dict) or not all(isinstance(entry, dict) for entry in index.values()):
        raise InputError(f"{url}: is no index; expected an object of <name>_v<version> -> entry")
    return url, index


def get(
    name: str,
    index: str,
    *,
    version: str | None = None,
    bundle_dir: str | Path = ".",
    patience: Patience | None = None,
) -> Path:
    """Fetch a bundle into ``bundle_dir/<name>`` and return that folder.

    Args:
        name: of the bundle.
        index: URL or path of ``bundle_index.json``, or of its folder.
        version: which; the newest by default.
        bundle_dir: where bundles lie, as MONAI's ``bundle_dir``; made if absent.
        patience: how long to wait, and how often to try.

    Raises:
        InputError: not to be had, not what the index promises, or something lies there already;
            nothing of it is left behind.
    """
    patience = patience or Patience()
    folder = Path(bundle_dir).absolute()
    if (folder / name).exists() or (folder / name).is_symlink():
        raise InputError(
            f"{folder / name}: is there already; move it away (it may hold your weights), "
            "or choose another --bundle_dir"
        )
    url, entries = read_index(index, patience)
    version, entry = _choose(url, entries, name, version)
    source = _source_of(url, entry)
    with _aside(folder, name, 2 * entry["size"]) as aside:
        file = aside / zip_name(name, version)
        download(source, file, entry["size"], patience)
        require_digest(file, entry, shown=source)
        verify(file)
        unpack(file, aside / "unpacked", name)
        (aside / "unpacked" / name).rename(folder / name)
    return folder / name


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
    source = urllib.parse.urljoin(url, entry["source"])
    scheme = urllib.parse.urlsplit(source).scheme
    if scheme not in ("http", "https") and not (scheme == "file" and url.startswith("file:")):
        raise InputError(f"{url}: points to {source}; expected http or https")
    return source


@contextmanager
def _aside(folder: Path, name: str, needed: int) -> Iterator[Path]:
    """A temporary folder on the same disk, gone afterwards, as are the parents made for it if it fails."""
    made = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
        if free < needed:
            raise InputError(
                f"{folder}: {free} bytes are free, {needed} are needed; free some or use another"
            )
        with tempfile.TemporaryDirectory(prefix=f".{name}.", dir=folder) as aside:
            yield Path(aside)
    except BaseException as error:
        for parent in made:
            if parent.is_dir() and not any(parent.iterdir()):
                parent.rmdir()
        if isinstance(error, OSError):
            raise InputError(f"{folder}: cannot write there ({error.strerror or error})") from error
        raise
