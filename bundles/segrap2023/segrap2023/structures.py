"""The two tasks of SegRap2023, organs at risk and tumour volumes, and how far apart their surfaces may be.

The structures as unions of exclusive classes are :mod:`common.datasets.raw.segrap_classes`.

Source: segrap2023/docs/method.md#structures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from common.datasets.raw.segrap_classes import (
    GTVS,
    ORGANS,
    Structures,
    channel_pairs,
    class_pairs,
    membership,
)
from common.errors import InputError

__all__ = ["TASKS", "exchanged_classes", "mirrored_axes", "structures_of", "tolerance_mm"]

TASKS: dict[str, Structures] = {"organs": ORGANS, "tumours": GTVS}
_LEFT_RIGHT = 2
_TOLERANCES_MM = {"Larynx": 2.0, "OralCavity": 3.0}


def structures_of(task: str, names: Mapping[int, str] | None = None) -> Structures:
    """Structure -> its classes, in the challenge's order.

    Args:
        task: "organs" or "tumours".
        names: of a network's classes 1, 2, ... by value.  Where they are not as many as the task has, the
            network is for other labels, and each of its classes is a structure of that name.

    Raises:
        InputError: the task is neither ``organs`` nor ``tumours``.
    """
    if task not in TASKS:
        raise InputError(f"task is {task!r}; expected one of: {', '.join(TASKS)}")
    structures = TASKS[task]
    if names is None or 1 + max(names) == membership(structures).shape[1]:
        return structures
    return {name: (value,) for value, name in names.items()}


def mirrored_axes(axes: Sequence[int], task: str, num_classes: int) -> list[int]:
    """The axes of a test-time mirroring, (S, P, L), as they are given.

    Raises:
        InputError: left and right would be mirrored, and the network's classes know sides.
    """
    structures = structures_of(task)
    sided = num_classes == membership(structures).shape[1] and channel_pairs(structures)
    if sided and any(axis % 3 == _LEFT_RIGHT for axis in axes):
        raise InputError(
            f"mirror_axes = {list(axes)}: axis 2 exchanges left and right, which the {task} tell apart; "
            "leave it out"
        )
    return list(axes)


def exchanged_classes(paired_flips: bool, task: str, num_classes: int) -> list[tuple[int, int]] | None:
    """Classes that change places when left and right are mirrored; None where nothing is mirrored.

    Tumours have no sides: they are mirrored as they are.

    Args:
        paired_flips: the option.
        task: "organs" or "tumours".
        num_classes: of the network, background included.

    Raises:
        InputError: the network's classes are not those of the task, so which of them are pairs is not known.
    """
    if not paired_flips:
        return None
    structures = structures_of(task)
    known = membership(structures).shape[1]
    if num_classes != known:
        raise InputError(
            f"paired_flips: which of {num_classes} classes are left and right is not known, only of the "
            f"{known} of task {task}: leave --paired_flips out"
        )
    return list(class_pairs(structures))


def tolerance_mm(structure: str) -> float:
    """Tolerance of the surface Dice: 1 mm but for the larynx and the oral cavity."""
    return _TOLERANCES_MM.get(structure, 1.0)
