"""``method-zoo.lock``: which version of each bundle a project uses, and the SHA-256 of its zip.

The first fetch of a bundle writes it, and the project keeps it.  So the digest does not come from the server
of the zip: one that was replaced there, with an index to match, is refused.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from common.errors import InputError
from common.files import write_json
from common.json_file import read_json
from common.registry.entries import key_of

__all__ = ["LOCK", "Pin", "add_pin", "digest_of", "read_lock"]

LOCK = "method-zoo.lock"


@dataclass(frozen=True)
class Pin:
    """The zip that a name stands for; ``sha256`` is in lower case."""

    version: str
    sha256: str


def digest_of(text: str, shown: str) -> str:
    """A SHA-256 as hexadecimal digits, in lower case.

    Raises:
        InputError: it is not one; the message begins with ``shown``.
    """
    digest = text.strip().lower()
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise InputError(f"{shown}: {text!r} is no SHA-256; expected 64 hexadecimal digits")
    return digest


def read_lock(path: Path) -> dict[str, Pin]:
    """Name of a bundle -> its pin; empty if there is no file.

    Raises:
        InputError: the file cannot be read, or is no lock file.
    """
    try:
        found = read_json(path)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a lock file ({error}); {_REPAIR}") from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: is no lock file; {_REPAIR}")
    return {name: _pin(path, name, entry) for name, entry in found.items()}


_REPAIR = "restore it from your version control, or move it away to lock anew"


def _pin(path: Path, name: str, entry: Any) -> Pin:
    values = [entry.get(key) for key in ("version", "sha256")] if isinstance(entry, dict) else [None]
    if not all(isinstance(value, str) for value in values):
        raise InputError(f"{path}: {name} lacks version or sha256; {_REPAIR}")
    version, sha256 = values
    key_of(name, version)
    return Pin(version, digest_of(sha256, f"{path}: {name}"))


def add_pin(path: Path, name: str, pin: Pin) -> None:
    """Write the file with one bundle more, whole or not at all.

    Raises:
        InputError: the folder cannot be written to, or the file is no lock file.
    """
    pins = {**read_lock(path), name: pin}
    write_json(path, {one: asdict(pins[one]) for one in sorted(pins)})
