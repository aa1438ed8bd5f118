"""From what a user names, a file, a folder, an archive or a link, to one checkpoint file on this disk."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import urllib.parse
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from common.checkpoints.nnunet_plans import CONFIGURATIONS
from common.disk import explained_disk_errors
from common.downloads.download import Patience
from common.downloads.kept import fetch_file
from common.errors import InputError

__all__ = [
    "NNUNET_SUFFIX",
    "Checkpoint",
    "Identity",
    "cache_of",
    "checkpoint_in",
    "identity_of",
    "is_link",
    "local_path",
]

NNUNET_SUFFIX = ".model"  # of version 1
_SUFFIXES = (NNUNET_SUFFIX, ".pth", ".pt", ".ckpt", ".tar")
_NNUNET, _PLANS = "model_final_checkpoint.model", "plans.pkl"
#: Hosts whose links open a page for people.
_PAGES = ("drive.google.com", "pan.baidu.com", "1drv.ms", "onedrive.live.com", ".sharepoint.com")
_LOCAL = ("localhost", "127.0.0.1", "::1")
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Identity:
    """What tells a file from others.

    Attributes:
        size: in bytes.
        sha256: of its content, in hexadecimal.
        git_blob: the id that git gives to it.
    """

    size: int
    sha256: str
    git_blob: str


@dataclass(frozen=True)
class Checkpoint:
    """What a source holds.

    Attributes:
        path: the checkpoint.
        plans: nnU-Net's ``plans.pkl`` that belongs to it, if there is one.
        configuration: of nnU-Net, by the folders' names.
    """

    path: Path
    plans: Path | None
    configuration: str


def is_link(source: str) -> bool:
    """Whether a source is a link rather than a path."""
    return "://" in source


def cache_of(url: str) -> Path:
    """Where the file of a link is kept, below ``$XDG_CACHE_HOME`` (else ``~/.cache``) ``/method_zoo``."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "method_zoo" / "weights" / hashlib.sha256(url.encode()).hexdigest()[:16]


def local_path(source: str, *, patience: Patience | None = None) -> Path:
    """The file or folder of a source; the file of a link is downloaded once and kept.

    Raises:
        InputError: no such file, or a link that is not to be opened or cannot be fetched.
    """
    if is_link(source):
        return fetch_file(_direct(source), cache_of(source), patience=patience)
    if not Path(source).exists():
        raise InputError(f"{source}: there is no such file")
    return Path(source)


def identity_of(path: Path) -> Identity:
    """Size and digests of a file."""
    sha256, size = hashlib.sha256(), path.stat().st_size
    blob = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            sha256.update(chunk)
            blob.update(chunk)
    return Identity(size, sha256.hexdigest(), blob.hexdigest())


def _direct(link: str) -> str:
    """A link to a file, encrypted.

    Raises:
        InputError: it is not.
    """
    try:
        parts = urllib.parse.urlsplit(link)
        host = parts.hostname or ""
    except ValueError as error:
        raise InputError(f"{link}: is no URL ({error})") from error
    if any(host == page or (page.startswith(".") and host.endswith(page)) for page in _PAGES):
        raise InputError(
            f"{link}: opens a page, not a file. Open it in a browser, download the file there, and give its "
            "path with --source"
        )
    if parts.scheme != "https" and not (parts.scheme == "http" and host in _LOCAL):
        raise InputError(f"{link}: expected a path or a link that begins with https://")
    return link


@contextmanager
def checkpoint_in(path: Path, member: str | None = None) -> Iterator[Checkpoint]:
    """The checkpoint in a file, a folder or a zip; what comes out of a zip is removed afterwards.

    Args:
        path: of any of these.
        member: a part of the path inside, where a folder or a zip has several checkpoints.

    Raises:
        InputError: there is none, or several that fit ``member``; they are named.
    """
    if path.is_dir():
        inside = {file.relative_to(path).as_posix(): file for file in path.rglob("*") if file.is_file()}
        chosen = _chosen(path, list(inside), member)
        plans = _plans_of(chosen, list(inside))
        yield Checkpoint(inside[chosen], inside.get(plans), _configuration(inside[chosen].absolute().parts))
    elif _is_archive(path):
        with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
            names = [name for name in archive.namelist() if not name.endswith("/")]
            chosen = _chosen(path, names, member)
            plans = _plans_of(chosen, names)
            held = [_extract(archive, name, Path(folder)) if name else None for name in (chosen, plans)]
            yield Checkpoint(held[0] or path, held[1], _configuration(PurePosixPath(chosen).parts))
    elif member is not None:
        raise InputError(f"{path}: --member is for folders and zip archives; this is a file")
    else:
        beside = [folder / _PLANS for folder in (path.absolute().parent, path.absolute().parent.parent)]
        is_nnunet = path.suffix == NNUNET_SUFFIX
        plans_file = next((file for file in beside if is_nnunet and file.is_file()), None)
        yield Checkpoint(path, plans_file, _configuration(path.absolute().parts))


def _is_archive(path: Path) -> bool:
    """Whether a file is a zip, and not the one that ``torch.save`` writes."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return not any(PurePosixPath(name).name == "data.pkl" for name in archive.namelist())


def _chosen(path: Path, names: Sequence[str], member: str | None) -> str:
    found = [
        name for name in names if name.endswith(_SUFFIXES) and not PurePosixPath(name).name.startswith(".")
    ]
    found = [name for name in found if PurePosixPath(name).name == _NNUNET] or found
    fitting = sorted(name for name in found if member is None or str(member) in name)
    if len(fitting) == 1:
        return fitting[0]
    shown = ", ".join((fitting or sorted(found))[:20])
    if not found:
        raise InputError(f"{path}: holds no checkpoint; expected a file that ends in {', '.join(_SUFFIXES)}")
    if fitting:
        raise InputError(
            f"{path}: holds several checkpoints; choose one with --member PART_OF_ITS_PATH: {shown}"
        )
    raise InputError(f"{path}: holds no checkpoint with {member} in its path; it holds: {shown}")


def _plans_of(chosen: str, names: Sequence[str]) -> str:
    """The ``plans.pkl`` beside a checkpoint or one folder up; empty where there is none."""
    folders = list(PurePosixPath(chosen).parents)[:2]
    return next((str(f / _PLANS) for f in folders if str(f / _PLANS) in names), "")


def _configuration(parts: Sequence[str]) -> str:
    return next((part for part in reversed(parts) if part in CONFIGURATIONS), "3d_fullres")


def _extract(archive: zipfile.ZipFile, name: str, folder: Path) -> Path:
    """One member under its bare name.

    Raises:
        InputError: the disk is full, or the archive is damaged.
    """
    target = folder / PurePosixPath(name).name
    try:
        with explained_disk_errors(folder, "nothing was imported"), archive.open(name) as source:
            if shutil.disk_usage(folder).free < archive.getinfo(name).file_size:
                raise InputError(f"{folder}: {archive.getinfo(name).file_size} bytes are needed; free some")
            with target.open("wb") as file:
                shutil.copyfileobj(source, file, _CHUNK)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{archive.filename}: damaged or encrypted at {name} ({error})") from error
    return target
