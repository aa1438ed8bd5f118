"""From the layers' result to plain JSON: slots, named lists, and names in braces."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from common.errors import InputError

__all__ = ["NONE", "Finisher"]

REQUIRED, OPTIONAL, NONE = "<required>", "<optional>", "<none>"


class Finisher:
    """Finishes the configs of one bundle.

    Args:
        bundle: its name, for ``{bundle}``.
        pins: package -> version, for ``{pin:PACKAGE}``.
        source: the recipe, for messages.
    """

    def __init__(self, bundle: str, pins: Mapping[str, str], source: str) -> None:
        self.bundle, self.pins, self.source = bundle, pins, source

    def finished(self, config: Mapping[str, Any], kind: str) -> dict[str, Any]:
        """The config as it is written.

        Raises:
            InputError: a required slot is not filled, or a value cannot be written as it stands.
        """
        missing: list[str] = []
        found = self._plain(config, kind, missing)
        if missing:
            raise InputError(f"{self.source}: lacks {', '.join(missing)}")
        return found

    def _plain(self, node: Any, where: str, missing: list[str]) -> Any:
        if isinstance(node, str):
            return self._text(node, where)
        if isinstance(node, list):
            return [self._plain(item, f"{where}#{i}", missing) for i, item in enumerate(node)]
        if not isinstance(node, dict):
            return node
        filled = {
            key: self._plain(value, f"{where}#{key}", missing)
            for key, value in self._filled(node, where, missing)
        }
        return list(filled.values()) if node.get("_list_") else filled

    def _filled(self, node: Mapping[str, Any], where: str, missing: list[str]) -> Iterator[tuple[str, Any]]:
        for key, value in node.items():
            if "#" in where and ("#" in key or key.startswith("+")):
                raise InputError(
                    f"{self.source}: {where}#{key}: {key} stands inside a mapping; give the whole path at "
                    "the top of its section"
                )
            if value == REQUIRED:
                missing.append(f"{where}#{key}")
            elif value not in (OPTIONAL, NONE) and key != "_list_":
                yield key, value

    def _text(self, text: str, where: str) -> str:
        if text in (REQUIRED, OPTIONAL, NONE):
            raise InputError(
                f"{self.source}: {where}: {text} is an item of a list; name the items (_list_) to have slots"
            )

        def version(found: re.Match) -> str:
            if found[1] not in self.pins:
                raise InputError(f"{self.source}: {where}: requirements.txt pins no {found[1]}")
            return self.pins[found[1]]

        return re.sub(r"\{pin:([^}]*)\}", version, text.replace("{bundle}", self.bundle))
