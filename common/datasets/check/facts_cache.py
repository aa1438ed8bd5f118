"""Facts of a case on disk, valid while path, size and date of its files stay the same."""

from __future__ import annotations

from typing import Any

from common.file_cache import FileCache
from common.file_cache import stamp as stamp_of

__all__ = ["load_cached", "save_cached", "stamp"]

_CACHE = FileCache("facts", version=3)  # raise it when the meaning of what is stored changes


def stamp(image: tuple[str, ...], label: tuple[str, ...]) -> list[list[int]] | None:
    """Size in bytes and date in ns of every file; None if one of them cannot be accessed."""
    return stamp_of((*image, *label))


def load_cached(image: tuple[str, ...], label: tuple[str, ...]) -> dict[str, Any] | None:
    """What :func:`save_cached` stored for the same unchanged files, lists as tuples; else None."""
    facts = _CACHE.load([image, label], (*image, *label))
    return None if facts is None else _with_tuples(facts)


def save_cached(
    image: tuple[str, ...], label: tuple[str, ...], files: list[list[int]], facts: dict[str, Any]
) -> None:
    """Store facts of files that had the stamp ``files`` before they were read, if possible."""
    _CACHE.save([image, label], files, facts)


def _with_tuples(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_with_tuples(item) for item in value)
    if isinstance(value, dict):
        return {key: _with_tuples(item) for key, item in value.items()}
    return value
