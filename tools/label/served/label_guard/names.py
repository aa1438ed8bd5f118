"""What a request may hold: names that stay below their folder, and no text that a config would run.

MONAI Label joins ids, tags and names of a request to paths, and puts values of a request into configs of
bundles, in which ``$`` begins code and a dictionary with ``_target_`` is built.
"""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath
from typing import Any

from .refusal import Refusal

__all__ = ["check_file_name", "check_json", "check_path", "check_text", "parse_json"]

#: Of images and labels; what is uploaded is saved under an id with the file's own ending.
ENDINGS = (".nii.gz", ".nii", ".nrrd", ".jpg", ".jpeg", ".png", ".tif", ".tiff")
_SPECIAL = ("$", "@", "%")
_ABSOLUTE = re.compile(r"[/\\~]|[A-Za-z]:|file:", re.IGNORECASE)


def check_path(text: str, where: str) -> None:
    """Refuse text that, joined to a folder, leaves it."""
    if "\0" in text or _ABSOLUTE.match(text) or ".." in re.split(r"[/\\]", text):
        raise Refusal(403, f"{where}: a name that leaves its folder: {text[:80]!r}")


def check_text(text: str, where: str) -> None:
    """Refuse text that a config would run, and what :func:`check_path` refuses."""
    if text.lstrip().startswith(_SPECIAL):
        raise Refusal(403, f"{where}: begins as code in a config does: {text[:80]!r}")
    check_path(text, where)


def check_json(value: Any, where: str) -> None:
    """Look at every text and every key in a JSON value."""
    if isinstance(value, str):
        check_text(value, where)
    elif isinstance(value, list):
        for one in value:
            check_json(one, where)
    elif isinstance(value, dict):
        for key, one in value.items():
            check_text(key, where)
            if key.startswith("_"):
                raise Refusal(403, f"{where}: a key that configs keep for themselves: {key[:80]!r}")
            check_json(one, where)


def parse_json(text: str | bytes, where: str) -> Any:
    """The value that JSON text stands for."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"{where}: not JSON") from error


def check_file_name(name: str) -> None:
    """Refuse an upload that is no image by its ending; clients send whole paths, of which the end counts."""
    last = PurePosixPath(name.replace("\\", "/")).name
    check_path(last, "upload")
    if not last.lower().endswith(ENDINGS):
        raise Refusal(403, f"upload: {last[:80]!r} is no image; expected one of: {', '.join(ENDINGS)}")
