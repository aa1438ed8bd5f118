"""Zips of bundles from untrusted sources: checked before a single file is written."""

from __future__ import annotations

import errno
import hashlib
import lzma
import re
import shutil
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from common.errors import InputError
from common.json_file import parse_json

__all__ = [
    "check_members",
    "common_version",
    "copy_member",
    "digests",
    "open_zip",
    "read_metadata",
    "read_text",
    "unpack",
]

_MOST_FILES = 10_000
_LONGEST_NAME, _LONGEST_PART = 1000, 255  # bytes; file systems take 4096 and 255
_LARGEST_TEXT = 16 << 20
# Ours are stored as they are; source code and JSON shrink about tenfold, so a hundredfold is a bomb.
_MOST_GROWTH = 100
_CHUNK = 1 << 20
# What reading a damaged zip raises, besides ValueError and OSError.
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError),
    *(
        RuntimeError,
        OverflowError,
        IndexError,
    ),  # a password, an unknown compression, a size too large
)


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
        archive = zipfile.ZipFile(path)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise InputError(f"{path}: there is no such file") from error
    except PermissionError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (
        *_DAMAGE,
        OSError,
        ValueError,
    ) as error:  # ValueError: a name that is not UTF-8, a negative offset
        raise _damaged(path, error) from error
    try:
        with archive:
            yield archive
    except InputError:
        raise
    except OSError as error:
        if error.errno != errno.EINVAL:  # what comes of reading at an offset that no file has
            raise
        raise _damaged(path, error) from error
    except (*_DAMAGE, ValueError) as error:
        raise _damaged(path, error) from error


def _damaged(path: str | Path, error: BaseException) -> InputError:
    return InputError(f"{path}: not a zip, or a damaged one ({error}); fetch or pack it again")


def check_members(archive: zipfile.ZipFile, name: str) -> None:
    """Prove that unpacking writes plain files below the folder ``name``, each once, and not too many bytes.

    Raises:
        InputError: names the member and what is wrong with it.
    """
    members = archive.infolist()
    if not members or len(members) > _MOST_FILES:
        raise InputError(f"{archive.filename}: holds {len(members)} files; expected 1 to {_MOST_FILES}")
    seen: set[str] = set()
    files = {_same_file(member.filename) for member in members if not _is_folder(member)}
    for member in members:
        path = _same_file(member.filename)
        fault = _fault(member, name)
        if path in seen:
            fault = "occurs twice"
        elif any(parent.as_posix() in files for parent in PurePosixPath(path).parents):
            fault = "lies below a file"
        if fault:
            raise InputError(f"{archive.filename}: member {member.filename!r} {fault}; nothing was unpacked")
        seen.add(path)
    unpacked, packed = sum(m.file_size for m in members), Path(str(archive.filename)).stat().st_size
    if unpacked > _MOST_GROWTH * packed:
        raise InputError(
            f"{archive.filename}: {packed} bytes would unpack to {unpacked}; nothing was unpacked"
        )


def _is_folder(member: zipfile.ZipInfo) -> bool:
    return member.filename.endswith("/")


def _same_file(name: str) -> str:
    """Equal for names that some file system takes for one."""
    return unicodedata.normalize("NFC", name.rstrip("/")).casefold()


def _fault(member: zipfile.ZipInfo, name: str) -> str:
    return _fault_of_name(member.orig_filename, name, _is_folder(member)) or _fault_of_kind(member)


def _fault_of_name(written: str, name: str, is_folder: bool) -> str:
    """``written`` is the name as the zip has it: ``zipfile`` cuts names at a NUL."""
    parts = written.removesuffix("/").split("/")
    if written.startswith("/") or re.match(r"[A-Za-z]:|\\", written):
        return "has an absolute path"
    if ".." in parts or "\\" in written:
        return "leaves the folder"
    if "." in parts or "" in parts:
        return "is a path in disguise (. or //)"
    if not written.isprintable():
        return "has characters that cannot be shown in its name"
    if len(written.encode()) > _LONGEST_NAME or max(len(part.encode()) for part in parts) > _LONGEST_PART:
        return "has too long a name"
    if parts[0] != name or (len(parts) == 1 and not is_folder):
        return f"is not below the folder {name}/"
    return ""


def _fault_of_kind(member: zipfile.ZipInfo) -> str:
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    if member.flag_bits & 1:
        return "is encrypted"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is compressed by another method than Deflate"
    return ""


def unpack(path: str | Path, folder: str | Path, name: str) -> None:
    """Unpack into an empty folder, which afterwards holds the folder ``name`` alone.

    Raises:
        InputError: the zip is damaged, or would write elsewhere or too much.
        OSError: the folder cannot be written.
    """
    with open_zip(path) as archive:
        check_members(archive, name)
        archive.extractall(folder)


def read_text(archive: zipfile.ZipFile, member: str) -> str:
    """A text file of a packed bundle.

    Raises:
        InputError: it is not there, not UTF-8, or too large.
    """
    try:
        size = archive.getinfo(member).file_size
        if size > _LARGEST_TEXT:
            raise InputError(f"{archive.filename}: {member} has {size} bytes; at most {_LARGEST_TEXT}")
        return archive.read(member).decode()
    except KeyError as error:
        raise InputError(f"{archive.filename}: has no {member}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{archive.filename}: {member} is not UTF-8 ({error})") from error


def copy_member(archive: zipfile.ZipFile, member: str, target: Path) -> None:
    """Write one file of a packed bundle to ``target``, whose folder is made if absent."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file, _CHUNK)


def read_metadata(archive: zipfile.ZipFile, name: str) -> dict[str, Any]:
    """``configs/metadata.json`` of a packed bundle.

    Raises:
        InputError: it is not there, or not JSON.
    """
    member = f"{name}/configs/metadata.json"
    text = read_text(archive, member)
    try:
        metadata = parse_json(text)
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
    if member not in archive.namelist():
        return ""
    found = re.search(rf'^{variable} = "([^"]*)"$', read_text(archive, member), re.MULTILINE)
    return found.group(1) if found else ""
