"""What a state to resume from has to hold, checked before any of it is used."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.checkpoints.store import read_checkpoint, require_finite
from common.errors import InputError

__all__ = ["read_run_state"]

_ANEW = "start anew without --resume"


def read_run_state(path: str | Path) -> dict[str, Any]:
    """The state that :class:`common.training.resuming.ResumePoint` wrote.

    Returns:
        The states of the parts by name, and ``run`` with ``epoch`` and ``iteration`` (whole numbers from 0),
        ``best_metric`` and ``best_metric_epoch``.

    Raises:
        InputError: the file is damaged or of another kind, holds weights or moments that are not finite, or
            numbers that no run leaves.
    """
    state = read_checkpoint(path)
    if not isinstance(state, Mapping) or "run" not in state:
        held = ", ".join(map(str, state)) if isinstance(state, Mapping) else type(state).__name__
        raise InputError(f"{path}: not the state of a run; it holds {held[:200]}")
    run = state["run"] if isinstance(state["run"], Mapping) else {}
    lowest = {"epoch": 0, "iteration": 0, "best_metric_epoch": -1}
    for key, least in lowest.items():
        if type(run.get(key)) is not int or not least <= run[key] < 2**53:
            raise InputError(
                f"{path}: run.{key} = {run.get(key)!r}; expected a whole number from {least}: the file is "
                f"damaged, {_ANEW}"
            )
    if not isinstance(run.get("best_metric"), float | int) or math.isnan(run["best_metric"]):
        raise InputError(
            f"{path}: run.best_metric = {run.get('best_metric')!r}; expected a number: the file is damaged, "
            f"{_ANEW}"
        )
    require_finite(state, path)
    return dict(state)
