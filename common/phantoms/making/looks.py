"""How the tissues of an MR phantom look, without a scanner: light to import."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["Look", "draw_signals"]


class Look(NamedTuple):
    """How a tissue looks; signals are relative to a bright tissue that the phantom names."""

    signal: float
    spread: float  # sd between cases
    texture: float  # sd inside the tissue
    label: int = 0


def draw_signals(looks: Sequence[Look], rng: np.random.Generator) -> np.ndarray:
    """(number of tissues,): each tissue's mean signal in one case, before what the sequence does to it."""
    return np.array([look.signal for look in looks]) + rng.normal(size=len(looks)) * [
        look.spread for look in looks
    ]
