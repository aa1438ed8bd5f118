"""The cases of one list of a run, each with its place in dataset.json."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Self

__all__ = ["CaseList", "as_lists", "flat_map", "has_label", "places_of"]


class CaseList(list[dict]):
    """A list of cases that knows where they come from.

    A slice of it, a sum of two and what :meth:`flat_map` makes of it know it too, so a case is still named
    by its place in dataset.json after some were held out and labels were hidden.  To be read only: what
    changes the list in place does not change the places.

    A list that a program puts in its stead (MONAI Label does) is a plain one: nothing is known of it but
    the files.

    Attributes:
        folder: absolute path of the folder with dataset.json.
        places: of each case in dataset.json, such as ``training[12]``.
        lists: the lists of the same run by name; empty until :func:`as_lists` has put them together.
    """

    def __init__(self, cases: Iterable[dict], folder: Path, places: Iterable[str]) -> None:
        super().__init__(cases)
        self.folder, self.places = folder, list(places)
        self.lists: Mapping[str, CaseList] = {}
        if len(self.places) != len(self):
            raise ValueError(f"{len(self.places)} places for {len(self)} cases")

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        return self._like(found, self.places[key]) if isinstance(key, slice) else found

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, CaseList):
            return super().__add__(other)
        return self._like([*self, *other], self.places + other.places)

    def __iadd__(self, other: Any) -> Any:
        return self + other

    def flat_map(self, function: Callable[[dict], Iterable[dict]]) -> Self:
        """What the function makes of each case, in its place: several entries, one or none."""
        made = [[*function(case)] for case in self]
        places = [[place] * len(entries) for entries, place in zip(made, self.places, strict=True)]
        return self._like(chain.from_iterable(made), chain.from_iterable(places))

    def once(self) -> Self:
        """The first entry of every case, however many :meth:`flat_map` made of it."""
        first = {place: number for number, place in reversed(list(enumerate(self.places)))}
        return self._at(sorted(first.values()))

    def without(self, other: CaseList) -> Self:
        """The cases that are not in the other list."""
        places = set(other.places)
        return self._at([number for number, place in enumerate(self.places) if place not in places])

    def _at(self, numbers: Sequence[int]) -> Self:
        return self._like([self[number] for number in numbers], [self.places[number] for number in numbers])

    def _like(self, cases: Iterable[dict], places: Iterable[str]) -> Self:
        made = type(self)(cases, self.folder, places)
        made.lists = self.lists
        return made


def as_lists(lists: Mapping[str, CaseList]) -> dict[str, CaseList]:
    """The lists of one run, each of which then knows the others."""
    together = dict(lists)
    for cases in together.values():
        cases.lists = together
    return together


def flat_map(cases: Iterable[Mapping], function: Callable[[Any], Iterable[dict]]) -> list[dict]:
    """What the function makes of each case, in a list of the same kind; see :meth:`CaseList.flat_map`."""
    if isinstance(cases, CaseList):
        return cases.flat_map(function)
    return [entry for case in cases for entry in function(case)]


def has_label(case: Mapping[str, Any]) -> bool:
    """Whether a case names a label file, or a class."""
    return case.get("label") not in (None, "", [])


def places_of(cases: Sequence[Any], name: str) -> list[str]:
    """Where each case stands in dataset.json; in a plain list, its number in the list of that name."""
    if isinstance(cases, CaseList):
        return cases.places
    return [f"{name}[{number}]" for number in range(len(cases))]
