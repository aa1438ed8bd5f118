"""Turn a folder of packed bundles into a registry: index, catalogue and a tree for Hugging Face's client."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

from common.errors import InputError
from common.files import write_json
from common.registry.archive import common_version, digests, open_zip
from common.registry.catalogue import write_catalogue
from common.registry.entries import facts_of, key_of, split_key
from common.registry.hub import write_hub
from common.registry.verify import verify

__all__ = ["index"]


def index(folder: str | Path, base_url: str, *, org: str = "method-zoo") -> dict[str, dict[str, Any]]:
    """Write ``bundle_index.json``, ``index.html`` and ``hf/`` for all zips of a folder.

    Args:
        folder: holds the zips; everything is written there.
        base_url: where the folder will be served.
        org: the owner that the repositories below ``hf/`` belong to.

    Returns:
        The index: key -> entry.

    Raises:
        InputError: no zip, or one that is not as packing writes it.
    """
    folder = Path(folder)
    zips = sorted(folder.glob("*.zip"))
    if not zips:
        raise InputError(f"{folder}: holds no zip; pack bundles first (python -m common.registry pack --all)")
    base_url = str(base_url).rstrip("/")
    entries = {}
    for path in zips:
        metadata = verify(path)
        key = key_of(split_key(path.stem)[0], metadata["version"])
        entries[key] = _entry(path, metadata, f"{base_url}/{path.name}")
    _require_one_common_per_version(zips)
    write_hub(folder / "hf", zips, entries, org)
    write_catalogue(folder, zips, entries)
    write_json(folder / "bundle_index.json", entries)
    return entries


def _entry(path: Path, metadata: dict[str, Any], source: str) -> dict[str, Any]:
    name, version = split_key(path.stem)
    found = digests(path)
    try:
        facts = facts_of(metadata)
    except (KeyError, TypeError, AttributeError, StopIteration) as error:
        raise InputError(f"{path}: configs/metadata.json lacks {error}") from error
    with open_zip(path) as archive:
        weights = f"{name}/models/model.pt" in archive.namelist()
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
    """Two bundles may share a process if their ``common`` has one version, so that must mean one content."""
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
