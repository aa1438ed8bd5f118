"""Entries of an index: the facts about one version of a bundle, and the order of versions.

An index has the shape of the model zoo's ``model_info.json``: ``<name>_v<version>`` -> ``checksum``
(SHA-1 of the zip) and ``source`` (its URL), and beside these what :func:`facts_of` and
:mod:`common.registry.index` add.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from common.errors import InputError

__all__ = ["facts_of", "key_of", "newest", "split_key", "version_order", "zip_name"]

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_VERSION = re.compile(r"[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}")
# The kind of task is the first of these words in metadata.json's "task".
_TASK_TYPES = ("segmentation", "detection", "classification", "registration", "reconstruction", "synthesis")


def key_of(name: str, version: str) -> str:
    """``cotr_v0.1.0``.

    Raises:
        InputError: MONAI's client would split such a name or version in the wrong place.
    """
    if not _NAME.fullmatch(name) or "_v" in name:
        raise InputError(
            f'bundle name "{name}": expected lower-case letters, digits and _ without "_v" in it'
        )
    if not _VERSION.fullmatch(version):
        raise InputError(
            f'{name}: version "{version}" in metadata.json; expected three numbers such as 0.1.0'
        )
    return f"{name}_v{version}"


def split_key(key: str) -> tuple[str, str]:
    """Name and version of ``cotr_v0.1.0``."""
    name, _, version = key.rpartition("_v")
    return name, version


def zip_name(name: str, version: str) -> str:
    """The file that holds one version of a bundle."""
    return f"{key_of(name, version)}.zip"


def version_order(version: str) -> tuple[int, ...]:
    """Sorts versions as numbers (0.10.0 after 0.9.0); anything else sorts first."""
    return tuple(map(int, version.split("."))) if _VERSION.fullmatch(version) else ()


def newest(versions: Iterable[str]) -> str:
    """The highest version."""
    return max(versions, key=version_order)


def facts_of(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What people search for, from a bundle's ``metadata.json``.

    ``paradigm`` (default "supervised") and ``reference`` (a short one; by default the first of
    ``references``) are our own additions to it, as is ``published_weights``: those of the method's authors
    that people can get.
    """
    image = next(iter(metadata["network_data_format"]["inputs"].values()))
    pred = next(iter(metadata["network_data_format"]["outputs"].values()))
    words = metadata["task"].lower()
    return {
        "task": metadata["task"],
        "task_type": next((kind for kind in _TASK_TYPES if kind in words), pred["format"]),
        "modality": image.get("modality", image["format"]),
        "dimensions": len(image["spatial_shape"]),
        "paradigm": metadata.get("paradigm", "supervised"),
        "reference": metadata.get("reference") or next(iter(metadata.get("references", [])), ""),
        "authors_weights": [
            {key: file[key] for key in ("name", "what", "link", "terms")}
            for file in metadata.get("published_weights", {}).get("files", [])
            if file.get("obtainable", True)
        ],
    }
