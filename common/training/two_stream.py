"""Batches of labelled and unlabelled cases: two streams that never mix, labelled cases first.

Source: Tarvainen and Valpola, mean teacher, 2017 (mcnet_plus/docs/method.md#batches).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from ignite.distributed import get_rank, get_world_size
from monai.data import list_data_collate
from torch.utils.data import Sampler

from common.datasets.lists.case_list import has_label
from common.errors import InputError

__all__ = ["TwoStreamBatchSampler", "collate_labelled_first"]

logger = logging.getLogger(__name__)


class TwoStreamBatchSampler(Sampler[list[int]]):
    """Batches of ``labelled`` + ``unlabelled`` indices; a case is labelled if it has a ``label``.

    The labelled cases are shuffled anew for every pass over them, and a pass drops its last incomplete
    batch.  At every pass the unlabelled ones are shuffled anew too, and as many as the pass needs are taken
    from the first (in further rounds, if there are too few).  What a batch holds follows from seed
    and position alone, so a resumed run sees the batches of an unbroken one, and processes of a
    distributed run take turns.  ``common.training.seeding.EpochSeed`` sets the epoch.

    Args:
        cases: the entries of the data set.
        labelled: labelled cases in a batch; if there are fewer, cases repeat.
        unlabelled: unlabelled cases in a batch; if there are none, the batch holds labelled cases alone.
        iterations: batches of an epoch; one pass over the labelled cases by default.
        seed: seed of the shuffling.

    Raises:
        InputError: no case has a label.
    """

    def __init__(
        self,
        cases: Sequence[Mapping[str, Any]],
        *,
        labelled: int = 2,
        unlabelled: int = 2,
        iterations: int | None = None,
        seed: int = 0,
    ) -> None:
        self.labelled_cases = [i for i, case in enumerate(cases) if has_label(case)]
        self.unlabelled_cases = [i for i, case in enumerate(cases) if not has_label(case)]
        if not self.labelled_cases:
            raise InputError(
                f"training: none of its {len(cases)} cases has a label; expected some: "
                'add "label" to entries of dataset.json'
            )
        if not self.unlabelled_cases:
            logger.warning("no unlabelled case: training on the %d labelled ones alone", len(cases))
        self.labelled, self.unlabelled = labelled, unlabelled if self.unlabelled_cases else 0
        self.per_pass = max(1, len(self.labelled_cases) // labelled)
        self.iterations = iterations
        self.seed, self.epoch = seed, 1

    def set_epoch(self, epoch: int) -> None:
        """Go to the beginning of an epoch, counted from 1."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Batches of an epoch, in this process."""
        return self.iterations or max(1, self.per_pass // get_world_size())

    def __iter__(self) -> Iterator[list[int]]:
        """The epoch's batches of this process, labelled indices first."""
        first = (self.epoch - 1) * len(self)
        for number in range(first, first + len(self)):
            yield self._batch(number * get_world_size() + get_rank())

    def _batch(self, number: int) -> list[int]:
        """Batch ``number`` of the whole run, over all processes."""
        passes, place = divmod(number, self.per_pass)
        order = self._shuffled(self.labelled_cases, passes, stream=0)
        start = place * self.labelled
        batch = [order[i % len(order)] for i in range(start, start + self.labelled)]
        start = place * self.unlabelled
        for position in range(start, start + self.unlabelled):
            rounds, there = divmod(position, len(self.unlabelled_cases))
            batch.append(self._shuffled(self.unlabelled_cases, passes, stream=1 + rounds)[there])
        return batch

    def _shuffled(self, cases: list[int], number: int, *, stream: int) -> list[int]:
        """The order of pass ``number`` in a stream."""
        words = np.random.SeedSequence([self.seed, number, stream]).generate_state(2)
        generator = torch.Generator().manual_seed(int(words[0]) << 31 | int(words[1]) >> 1)
        return [cases[i] for i in torch.randperm(len(cases), generator=generator).tolist()]


def collate_labelled_first(items: Sequence[Mapping[str, Any] | list]) -> dict[str, Any]:
    """A batch with labelled items first: ``image`` of all B items, ``label`` of the labelled ones alone.

    So there are no placeholders for missing labels.  Keys other than ``label`` that some item lacks are left
    out.
    """
    flat = [one for item in items for one in (item if isinstance(item, list) else [item])]
    labelled = [item for item in flat if "label" in item]
    ordered = labelled + [item for item in flat if "label" not in item]
    shared = [key for key in ordered[0] if key != "label" and all(key in item for item in ordered)]
    batch = list_data_collate([{key: item[key] for key in shared} for item in ordered])
    if labelled:
        batch |= list_data_collate([{"label": item["label"]} for item in labelled])
    return batch
