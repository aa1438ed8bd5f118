"""Where imported weights come from, kept inside ``model.pt``.

It travels in the attribute ``_metadata`` that PyTorch itself gives to state dicts, so that the file stays a
bare state dict; weights that are trained further here and saved no longer carry it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Origin", "origin_of", "with_origin"]

_KEY = "method_zoo_origin"
_LONGEST = 500


@dataclass(frozen=True)
class Origin:
    """What imported weights are.

    Attributes:
        what: in a few words; empty for a file that is in no list.
        source: the link or file that was imported.
        sha256: of the authors' file.
        use: what predicting with them needs; empty where they need nothing.
    """

    what: str
    source: str
    sha256: str
    use: str = ""

    def line(self) -> str:
        """All of it in one line, for a log."""
        what = self.what or "in no list of published ones"
        use = f"; {self.use}" if self.use else ""
        return f"imported weights ({what}) from {self.source}, sha256 {self.sha256[:12]}{use}"


def with_origin(state: Mapping[str, Any], origin: Origin) -> OrderedDict[str, Any]:
    """A copy of a state dict that says where it comes from."""
    copy = OrderedDict(state)
    copy._metadata = OrderedDict(getattr(state, "_metadata", {})) | {_KEY: asdict(origin)}  # type: ignore[attr-defined]
    return copy


def origin_of(state: Any) -> Origin | None:
    """What :func:`with_origin` stored in a loaded state dict; None where there is nothing like that."""
    metadata = getattr(state, "_metadata", None)
    held = metadata.get(_KEY) if isinstance(metadata, Mapping) else None
    if not isinstance(held, Mapping):
        return None
    values = {name: held.get(name, "") for name in Origin.__dataclass_fields__}
    if not all(isinstance(value, str) for value in values.values()):
        return None
    return Origin(**{name: _on_one_line(value) for name, value in values.items()})


def _on_one_line(text: str) -> str:
    """Weights may come from anywhere: no control characters reach a terminal."""
    return "".join(c if c.isprintable() else " " for c in text[:_LONGEST])
