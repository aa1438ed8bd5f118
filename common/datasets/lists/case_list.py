"""The cases of one list of a run, each with its place in dataset.json."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Self

__all__ = ["CaseList", "as_lists", "flat_map", "has_label", "places_of"]


class CaseList(list[dict]):
    """A list of cases that knows where they come from.

    So do its slices, sums and results of :meth:`flat_map`: a case is still named by its place in
    dataset.json after some were held out and labels were hidden.  Treat it as read-only: changing the list
    in place does not change the places.

    A list that a program puts in its place (as MONAI Label does) is a plain one: only its files are known.

    Attributes:
        folder: absolute path of the folder with dataset.json.
        places: each case's place in dataset.json, such as ``training[12]``.
        lists: the lists of the same run by name; empty until :func:`as_lists` has linked them.
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
        """Replace each case with what the function makes of it: several entries, one or none."""
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
    """Link the lists of one run, so that each knows the others."""
    together = dict(lists)
    for cases in together.values():
        cases.lists = together
    return together


def flat_map(cases: Iterable[Mapping], function: Callable[[Any], Iterable[dict]]) -> list[dict]:
    """Apply :meth:`CaseList.flat_map`, or do the same to a plain list; the list's kind is kept."""
    if isinstance(cases, CaseList):
        return cases.flat_map(function)
    return [entry for case in cases for entry in function(case)]


def has_label(case: Mapping[str, Any]) -> bool:
    """Whether a case names a label file, or a class."""
    return case.get("label") not in (None, "", [])


def places_of(cases: Sequence[Any], name: str) -> list[str]:
    """Each case's place in dataset.json; for a plain list, its number in the list called ``name``."""
    if isinstance(cases, CaseList):
        return cases.places
    return [f"{name}[{number}]" for number in range(len(cases))]
