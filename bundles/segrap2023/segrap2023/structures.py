"""The two tasks of SegRap2023, organs at risk and tumour volumes, and how far apart their surfaces may be.

The structures as unions of exclusive classes are :mod:`common.datasets.raw.segrap_classes`.

Source: segrap2023/docs/method.md#structures.
"""

from __future__ import annotations

from common.datasets.raw.segrap_classes import GTVS, ORGANS, Structures

__all__ = ["TASKS", "structures_of", "tolerance_mm"]

TASKS: dict[str, Structures] = {"organs": ORGANS, "tumours": GTVS}
_TOLERANCES_MM = {"Larynx": 2.0, "OralCavity": 3.0}


def structures_of(task: str) -> Structures:
    """Structure -> its classes, in the challenge's order.

    Raises:
        ValueError: the task is neither ``organs`` nor ``tumours``.
    """
    if task not in TASKS:
        raise ValueError(f"task is {task!r}; expected one of: {', '.join(TASKS)}")
    return TASKS[task]


def tolerance_mm(structure: str) -> float:
    """Tolerance of the surface Dice: 1 mm but for the larynx and the oral cavity."""
    return _TOLERANCES_MM.get(structure, 1.0)
