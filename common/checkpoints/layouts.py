"""Where the network lies in a checkpoint of somebody else's program."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from common.checkpoints.store import state_of
from common.errors import InputError

__all__ = ["network_state"]


def network_state(checkpoint: Any, source: str | Path) -> dict[str, Tensor]:
    """The network's state dict, bare, under one of the usual keys, or in several parts.

    Some programs save a network in parts, a state dict each, perhaps beside an epoch and arguments.  The
    parts are joined, each key behind the name of its part: ``decoder_state_dict.head.weight``.

    Raises:
        InputError: none is found.
    """
    try:
        return state_of(checkpoint, source)
    except InputError:
        if not isinstance(checkpoint, Mapping):
            raise
        parts = {name: part for name, part in checkpoint.items() if _is_state(part)}
        if not parts:
            raise
    return {f"{name}.{key}": value for name, part in parts.items() for key, value in part.items()}


def _is_state(part: Any) -> bool:
    return isinstance(part, Mapping) and bool(part) and all(isinstance(v, Tensor) for v in part.values())
