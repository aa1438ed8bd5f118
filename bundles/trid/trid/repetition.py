"""Epochs of a short list that is repeated.

Source: trid/docs/method.md#prostate; the authors repeat the list of slices until an epoch has at least 250
batches.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sized

import torch
from torch.utils.data import Sampler

__all__ = ["RepeatedSampler", "repeated_length"]


def repeated_length(items: int, batch_size: int, least: int) -> int:
    """Length of a list repeated ceil(least / floor(items / batch_size)) times, and at least once.

    It gives at least ``least`` batches; the last one may not be full.

    Args:
        items: in the list.
        batch_size: of the loader.
        least: batches wanted.
    """
    return items * max(1, math.ceil(least / max(1, items // batch_size)))


class RepeatedSampler(Sampler[int]):
    """Shuffles a repeated list as a whole, so that its passes are mixed.

    Args:
        data_source: the list.
        num_samples: how many to draw; no item is drawn more than once more than another.
    """

    def __init__(self, data_source: Sized, num_samples: int) -> None:
        self.items, self.num_samples = len(data_source), num_samples

    def __len__(self) -> int:
        return self.num_samples

    def __iter__(self) -> Iterator[int]:
        passes = [torch.randperm(self.items) for _ in range(math.ceil(self.num_samples / self.items))]
        drawn = torch.cat(passes)[: self.num_samples]
        yield from drawn[torch.randperm(len(drawn))].tolist()
