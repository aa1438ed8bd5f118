"""Zips of bundles as strangers hand them over: looked through before a single file is written."""

from __future__ import annotations

import hashlib
import json
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from common.errors import InputError

__all__ = ["check_members", "common_version", "digests", "open_zip", "read_metadata", "unpack"]

_MOST_FILES = 10_000
# Ours are stored as they are; source code and JSON shrink about tenfold, so a hundredfold is a bomb.
_MOST_GROWTH = 100
_CHUNK = 1 << 20


def digests(path: str | Path) -> dict[str, Any]:
    """``checksum`` (SHA-1), ``sha256`` and ``size`` of a file."""
    sha1, sha256, size = hashlib.sha1(), hashlib.sha256(), 0
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            sha1.update(chunk)
            sha256.update(chunk)
            size += len(chunk)
    return {"checksum": sha1.hexdigest(), "sha256": sha256.hexdigest(), "size": size}


@contextmanager
def open_zip(path: str | Path) -> Iterator[zipfile.ZipFile]:
    """A zip for reading.

    Raises:
        InputError: no such file, not a zip, or a damaged one (also where reading finds that out).
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (FileNotFoundError, IsADirectoryError) as error:
        raise InputError(f"{path}: there is no such file") from error
    # NotImplementedError is what zipfile raises of a compression or a version that it does not know.
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise InputError(f"{path}: not a zip, or a damaged one ({error}); fetch or pack it again") from error


def check_members(archive: zipfile.ZipFile, name: str) -> None:
    """Prove that unpacking writes plain files below the folder ``name``, and not too many bytes.

    Raises:
        InputError: names the member and what is wrong with it.
    """
    members = archive.infolist()
    if not members or len(members) > _MOST_FILES:
        raise InputError(f"{archive.filename}: holds {len(members)} files; expected 1 to {_MOST_FILES}")
    seen: set[str] = set()
    for member in members:
        fault = _fault(member, name)
        if member.filename.casefold() in seen:
            fault = "occurs twice"
        if fault:
            raise InputError(f"{archive.filename}: member {member.filename!r} {fault}; nothing was unpacked")
        seen.add(member.filename.casefold())
    unpacked, packed = sum(m.file_size for m in members), Path(str(archive.filename)).stat().st_size
    if unpacked > _MOST_GROWTH * packed:
        raise InputError(
            f"{archive.filename}: {packed} bytes would unpack to {unpacked}; nothing was unpacked"
        )


def _fault(member: zipfile.ZipInfo, name: str) -> str:
    path = PurePosixPath(member.filename)
    kind = stat.S_IFMT(member.external_attr >> 16)
    if path.is_absolute() or re.match(r"[A-Za-z]:|\\", member.filename):
        return "has an absolute path"
    if ".." in path.parts or "\\" in member.filename:
        return "leaves the folder"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    if path.parts[:1] != (name,):
        return f"is not below the folder {name}/"
    if member.flag_bits & 1:
        return "is encrypted"
    return ""


def unpack(path: str | Path, folder: str | Path, name: str) -> None:
    """Unpack into an empty folder, which afterwards holds the folder ``name`` alone.

    Raises:
        InputError: the zip is damaged, or would write elsewhere or too much.
    """
    with open_zip(path) as archive:
        check_members(archive, name)
        archive.extractall(folder)


def read_metadata(archive: zipfile.ZipFile, name: str) -> dict[str, Any]:
    """``configs/metadata.json`` of a packed bundle.

    Raises:
        InputError: it is not there, or not JSON.
    """
    member = f"{name}/configs/metadata.json"
    try:
        metadata = json.loads(archive.read(member))
    except KeyError as error:
        raise InputError(f"{archive.filename}: has no {member}") from error
    except ValueError as error:
        raise InputError(f"{archive.filename}: {member} is not JSON ({error})") from error
    if not isinstance(metadata, dict):
        raise InputError(f"{archive.filename}: {member} is no JSON object")
    return metadata


def common_version(archive: zipfile.ZipFile, name: str) -> tuple[str, str]:
    """The version of ``common`` that the bundle asks for, and that of the copy it carries ("" if none)."""
    return (
        _assigned(archive, f"{name}/{name}/_packed.py", "COMMON_VERSION"),
        _assigned(archive, f"{name}/common/__init__.py", "__version__"),
    )


def _assigned(archive: zipfile.ZipFile, member: str, variable: str) -> str:
    try:
        text = archive.read(member).decode()
    except KeyError:
        return ""
    found = re.search(rf'^{variable} = "([^"]*)"$', text, re.MULTILINE)
    return found.group(1) if found else ""
