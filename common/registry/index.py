"""Turn a folder of packed bundles into a registry: index, catalogue and a tree for Hugging Face's client."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from common.disk import explained_disk_errors
from common.errors import InputError
from common.files import write_json
from common.folder_lock import locked
from common.leftovers import remove_leftovers, temporary_beside
from common.registry.archive import common_version, digests, open_zip
from common.registry.catalogue import write_catalogue
from common.registry.entries import facts_of, key_of, split_key
from common.registry.hub import write_hub
from common.registry.replace import replace_made
from common.registry.verify import verify
from common.registry.weights import packed_weights

__all__ = ["index"]


# Files that refer to others, those that refer to these, and so on.
_LAST = ("hf/api/*/tree/*", "hf/api/*/revision/*", "hf/api/*/refs", "index.html", "bundle_index.json")


def index(folder: str | Path, base_url: str, *, org: str = "method-zoo") -> dict[str, dict[str, Any]]:
    """Write ``bundle_index.json``, ``index.html``, ``pictures/`` and ``hf/`` for all zips of a folder.

    Everything is made aside and then takes the place of what an earlier call made; what else lies in the
    folder stays.

    Args:
        folder: holds the zips; everything is written there.
        base_url: where the folder will be served.
        org: the owner that the repositories below ``hf/`` belong to.

    Returns:
        The index: key -> entry.

    Raises:
        InputError: no zip, one that is not as packing writes it, a file of somebody else in the way, or
            a folder that cannot be written.
    """
    folder = Path(folder)
    whole = "the index and the catalogue that were there are whole"
    with explained_disk_errors(folder, whole), _locked_if_there(folder):
        zips = sorted(path for path in folder.glob("*.zip") if not path.name.startswith("."))
        if not zips:
            raise InputError(
                f"{folder}: holds no zip; pack bundles first (python -m common.registry pack --all)"
            )
        base_url = str(base_url).rstrip("/")
        entries = {}
        for path in zips:
            metadata = verify(path)
            key = key_of(split_key(path.stem)[0], metadata["version"])
            entries[key] = _entry(path, metadata, f"{base_url}/{path.name}")
        _require_one_common_per_version(zips)
        with _aside(folder) as building:
            write_hub(building / "hf", zips, entries, org)
            write_catalogue(building, zips, entries)
            write_json(building / "bundle_index.json", entries)
            replace_made(folder, building, _LAST)
    return entries


def _locked_if_there(folder: Path) -> AbstractContextManager[None]:
    """Locked; but a folder that is not there is not made."""
    return locked(folder, "packing") if folder.is_dir() else nullcontext()


@contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """A temporary folder in ``folder``, gone afterwards, as are those of killed runs."""
    remove_leftovers(folder / "index")
    building = temporary_beside(folder / "index")
    building.mkdir()
    try:
        yield building
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _entry(path: Path, metadata: dict[str, Any], source: str) -> dict[str, Any]:
    name, version = split_key(path.stem)
    found = digests(path)
    try:
        facts = facts_of(metadata)
    except (KeyError, TypeError, AttributeError, StopIteration) as error:
        raise InputError(f"{path}: configs/metadata.json lacks {error}") from error
    with open_zip(path) as archive:
        weights = bool(packed_weights(archive, name))
        _, common = common_version(archive, name)
    return {
        "checksum": found["checksum"],
        "source": source,
        "sha256": found["sha256"],
        "size": found["size"],
        "name": name,
        "version": version,
        "title": metadata.get("name", name),
        "description": metadata.get("description", ""),
        **facts,
        "weights": weights,
        "common": common,
    }


def _require_one_common_per_version(zips: list[Path]) -> None:
    """Bundles with one version of ``common`` may share a process, so one version must be one content."""
    first: dict[str, tuple[str, Path]] = {}
    for path in zips:
        name = split_key(path.stem)[0]
        with open_zip(path) as archive:
            version, content = common_version(archive, name)[1], _digest_of_common(archive, name)
        other, at = first.setdefault(version, (content, path))
        if content != other:
            raise InputError(
                f"{at} and {path}: both carry common {version}, with different files; raise "
                "__version__ in common/__init__.py when common changes, and pack again"
            )


def _digest_of_common(archive: zipfile.ZipFile, name: str) -> str:
    crcs = {
        member.filename: member.CRC
        for member in archive.infolist()
        if member.filename.startswith(f"{name}/common/")
    }
    shortened = {file.removeprefix(f"{name}/"): crc for file, crc in crcs.items()}
    return hashlib.sha256(json.dumps(shortened, sort_keys=True).encode()).hexdigest()
