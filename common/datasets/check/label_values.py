"""Label values: which are allowed, and the option that repairs the others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from common.errors import InputError

__all__ = ["as_label_map", "mapped", "mapped_labels", "repair_for_values", "shown_values"]

_IGNORE = 255


def as_label_map(label_map: Mapping[Any, Any] | None) -> dict[int, int]:
    """The option ``{from: to}`` with integer keys and values; empty if it is not given.

    Raises:
        InputError: it is not a mapping of integers.
    """
    try:
        return {int(old): int(new) for old, new in (label_map or {}).items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(
            f"label_map = {label_map!r}; expected a mapping of label values such as '{{255: 0}}': correct it"
        ) from error


def mapped(values: Iterable[float], label_map: Mapping[int, int]) -> set[float]:
    """The values after the map; those that it does not name are unchanged."""
    return {label_map.get(value, value) for value in values}


def mapped_labels(labels: Mapping[int, str], label_map: Mapping[int, int]) -> dict[int, str]:
    """Names by value after the map; where values merge, the name of the unmapped one is kept."""
    names: dict[int, str] = {}
    for value in sorted(labels, key=lambda value: (value in label_map, value)):
        names.setdefault(label_map.get(value, value), labels[value])
    return dict(sorted(names.items()))


def shown_values(values: Collection[float]) -> str:
    """``{0, 1, 255}``, shortened beyond twelve values."""
    ordered = sorted(values)
    head = ordered if len(ordered) <= 12 else [*ordered[:8], "...", *ordered[-3:]]
    return "{" + ", ".join(f"{v:g}" if isinstance(v, float | int) else v for v in head) + "}"


def repair_for_values(
    bad: Collection[float], everywhere: Collection[float], classes: int | None, label_map: Mapping[int, int]
) -> str:
    """What to do about label values outside the classes.

    Args:
        bad: the values that are not allowed, after the map.
        everywhere: all integer values of the data set, after the map.
        classes: number of classes; None if unknown.
        label_map: the map that the user has already given; a suggestion includes it.
    """
    if set(everywhere) <= {0, _IGNORE}:
        return f"a 0/255 mask: map it with  {_option({_IGNORE: 1}, label_map)}"
    if set(bad) == {_IGNORE}:
        option = _option({_IGNORE: 0}, label_map)
        return f'255 is often an "ignore" mark: map it with  {option}  or correct the file'
    if min(bad) < 0:
        below = {value: 0 for value in everywhere if value < 0}
        return f"map the negative values with  {_option(below, label_map)}  or correct the file"
    ordered = sorted({0, *everywhere})
    if ordered[-1] == len(ordered) - 1:
        surplus = {value: 0 for value in bad}
        return f"if all are classes  --num_classes {len(ordered)} , else  {_option(surplus, label_map)}"
    renumbered = {value: place for place, value in enumerate(ordered) if place != value}
    repair = f"close the gaps with  {_option(renumbered, label_map)}"
    if classes is not None and len(ordered) > classes:
        repair += f" --num_classes {len(ordered)}"
    return repair


def _option(new: Mapping[float, int], label_map: Mapping[int, int]) -> str:
    whole = {old: new.get(target, target) for old, target in label_map.items()}
    whole |= {int(old): target for old, target in new.items() if old not in whole}
    return "--label_map '{" + ", ".join(f"{old}: {target}" for old, target in sorted(whole.items())) + "}'"
