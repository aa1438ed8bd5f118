"""What ties weights to their run: its id, and the digest of the plan that they were trained with.

Both travel inside ``model.pt``, in the attribute ``_metadata`` that PyTorch itself gives to state dicts, so
that the file stays a bare state dict: every key is a tensor of the network.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from common.checkpoints.state_file import read_outline
from common.errors import InputError

__all__ = ["Stamp", "plan_digest", "read_stamp", "stamp_of", "stamped"]

_KEY = "method_zoo"


@dataclass(frozen=True)
class Stamp:
    """Of which run weights are.

    Attributes:
        run: id of the training.
        plan: :func:`plan_digest` of the plan that it was made with; None where a method has no plan.
    """

    run: str
    plan: str | None = None


def plan_digest(plan: Mapping[str, Any]) -> str:
    """SHA-256 of a plan's content, in hexadecimal; the same before it is written and after it is read."""
    plain = json.loads(json.dumps(plan))  # tuples become lists, and numbers as keys become text
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def stamped(state: Mapping[str, Any], stamp: Stamp) -> OrderedDict[str, Any]:
    """A copy of a state dict that carries a stamp."""
    copy = OrderedDict(state)
    copy._metadata = OrderedDict(getattr(state, "_metadata", {})) | {_KEY: asdict(stamp)}  # type: ignore[attr-defined]
    return copy


def stamp_of(state: Any) -> Stamp | None:
    """The stamp of a loaded state dict; None where it has none, or not one of ours."""
    metadata = getattr(state, "_metadata", None)
    held = metadata.get(_KEY) if isinstance(metadata, Mapping) else None
    if not isinstance(held, Mapping) or not isinstance(held.get("run"), str):
        return None
    plan = held.get("plan")
    return Stamp(held["run"], plan if isinstance(plan, str) else None)


def read_stamp(weights: str | Path) -> Stamp | None:
    """The stamp of a weights file, without reading its tensors.

    None where there is no file, where it carries no stamp (it was imported, or written by a version without
    stamps), and where it cannot be read: that is reported when the weights are loaded.
    """
    try:
        return stamp_of(read_outline(weights))
    except InputError:
        return None
