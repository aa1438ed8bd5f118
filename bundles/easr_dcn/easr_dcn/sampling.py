"""Passes over the scans of a training list, each with a partner drawn at random."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import Sampler

from common.datasets.lists.case_list import places_of
from easr_dcn.data import entries_of

__all__ = ["RandomPartners"]


class RandomPartners(Sampler[int]):
    """Every entry of a training list once, in random order, in one of its pairs, drawn at random.

    A single scan's pairs are those with each possible partner, a listed pair's is itself.  Draws come from
    torch's generator.

    Args:
        pairs: training pairs, as :func:`easr_dcn.data.pair_datalist` makes them; in a plain list every
            pair counts as an entry.
        num_samples: fewer entries than all in a pass; None: all.
    """

    def __init__(self, pairs: Sequence[Any], *, num_samples: int | None = None) -> None:
        entries: dict[str, list[int]] = {}
        for number, place in enumerate(places_of(pairs, "training")):
            for entry in entries_of(place):
                entries.setdefault(entry, []).append(number)
        self.pairs_of_entry = list(entries.values())
        self.num_samples = len(entries) if num_samples is None else min(int(num_samples), len(entries))

    def __iter__(self) -> Iterator[int]:
        """Numbers of pairs."""
        for entry in torch.randperm(len(self.pairs_of_entry))[: self.num_samples].tolist():
            pairs = self.pairs_of_entry[entry]
            yield pairs[int(torch.randint(len(pairs), ()))]

    def __len__(self) -> int:
        return self.num_samples
