"""What decides a training, in short: kept in its checkpoint, and compared when it is resumed."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn
from torch.optim import Optimizer

__all__ = ["data_facts", "differences", "network_facts", "optimizer_facts"]

Facts = dict[str, Any]


def data_facts(cases: Sequence[Mapping[str, Any]]) -> Facts:
    """A list of cases: its folder, its length, and a digest of its entries in order.

    A file counts with its place in the folder and its size, so that a folder may move.
    """
    folder = Path(getattr(cases, "folder", os.sep))
    entries = [_entry(case, folder) for case in cases]
    return {"folder": str(folder), "cases": len(cases), "digest": _digest(entries)}


def _entry(value: Any, folder: Path) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _entry(item, folder) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_entry(item, folder) for item in value]
    if isinstance(value, str | Path) and os.path.isfile(value):
        path = Path(value)
        inside = path.relative_to(folder) if path.is_relative_to(folder) else path
        return [inside.as_posix(), path.stat().st_size]
    return value if isinstance(value, str | int | float | None) else type(value).__name__


def network_facts(network: nn.Module) -> Facts:
    """A network: its class, and a digest of its modules with their settings, and of its tensors' shapes."""
    modules = re.sub(r"0x[0-9a-f]+", "", repr(network))  # addresses of functions
    shapes = {key: list(value.shape) for key, value in network.state_dict().items()}
    return {"class": type(network).__name__, "digest": _digest([modules, shapes])}


def optimizer_facts(optimizer: Optimizer) -> Facts:
    """An optimiser before its first step: its class, its settings and its groups' learning rates."""
    settings = {key: value for key, value in optimizer.defaults.items() if key != "lr"}
    rates = [group.get("initial_lr", group["lr"]) for group in optimizer.param_groups]
    return json.loads(
        json.dumps(
            {"class": type(optimizer).__name__, **settings, "learning rate": [float(r) for r in rates]},
            default=str,
        )
    )


def differences(then: Facts, now: Facts) -> list[str]:
    """What differs between the facts of two runs, as ``seed (was 0, now 1)``."""
    return [
        f"{name} ({'; '.join(_words(then.get(name), now.get(name)))})"
        for name in sorted({*then, *now})
        if _compared(then.get(name)) != _compared(now.get(name))
    ]


def _compared(value: Any) -> Any:
    """A digest stands for all that it is of; a folder may have moved."""
    return value["digest"] if isinstance(value, Mapping) and "digest" in value else value


def _words(then: Any, now: Any) -> Iterator[str]:
    if not isinstance(then, Mapping) or not isinstance(now, Mapping):
        yield f"was {_short(then)}, now {_short(now)}"
        return
    changed = [key for key in sorted({*then, *now}) if then.get(key) != now.get(key)]
    plain = [key for key in changed if key != "digest"]
    for key in plain:
        yield f"{key} was {_short(then.get(key))}, now {_short(now.get(key))}"
    if not plain:
        yield "other content"


def _short(value: Any) -> str:
    if isinstance(value, list) and len(value) == 1:
        (value,) = value
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
