"""Two streams: passes, rounds, resuming, processes; and batches whose second half has no labels."""

from __future__ import annotations

import logging
from collections import Counter

import pytest
import torch
from monai.data import MetaTensor

from common.errors import InputError
from common.training import two_stream
from common.training.two_stream import TwoStreamBatchSampler, collate_labelled_first


def cases(labelled: int, unlabelled: int) -> list[dict]:
    return [{"image": "i", "label": "l"}] * labelled + [{"image": "i"}] * unlabelled


def batches(sampler: TwoStreamBatchSampler, epoch: int = 1) -> list[list[int]]:
    sampler.set_epoch(epoch)
    return list(sampler)


def test_class_zero_is_a_label():
    sampler = TwoStreamBatchSampler(
        [{"label": 0}, {"label": 1}, {}, {"label": None}], labelled=1, unlabelled=1
    )
    assert sampler.labelled_cases == [0, 1]
    assert sampler.unlabelled_cases == [2, 3]


def test_an_epoch_is_one_pass_over_the_labelled_cases():
    sampler = TwoStreamBatchSampler(cases(8, 32), labelled=2, unlabelled=2)
    for epoch in (1, 2, 3):
        epoch_batches = batches(sampler, epoch)
        assert len(epoch_batches) == len(sampler) == 4
        assert sorted(i for batch in epoch_batches for i in batch[:2]) == list(range(8))
        assert all(8 <= i < 40 for batch in epoch_batches for i in batch[2:])
    assert batches(sampler, 1) != batches(sampler, 2), "shuffled anew"


def test_unlabelled_cases_are_shuffled_anew_at_every_pass():
    """mcnet_plus/docs/method.md#batches: with 8 labelled scans, four steps see 8 of the 72 others."""
    sampler = TwoStreamBatchSampler(cases(8, 72), labelled=2, unlabelled=2, iterations=8)
    drawn = [i for batch in batches(sampler) for i in batch[2:]]
    first, second = drawn[:8], drawn[8:]
    assert len(set(first)) == len(set(second)) == 8
    assert first != second
    seen = {i for epoch in range(1, 200) for batch in batches(sampler, epoch) for i in batch[2:]}
    assert seen == set(range(8, 80))
    repeats = sum(len(set(drawn)) < 16 for drawn in _pairs_of_passes(sampler))
    assert repeats > 30, "rounds that go on from pass to pass would seldom meet a case twice in two passes"


def _pairs_of_passes(sampler):
    return ([i for batch in batches(sampler, epoch) for i in batch[2:]] for epoch in range(1, 101))


def test_a_pass_with_too_few_unlabelled_cases_takes_further_rounds():
    sampler = TwoStreamBatchSampler(cases(8, 3), labelled=2, unlabelled=3)
    for epoch in (1, 2):
        for batch in batches(sampler, epoch):
            assert sorted(batch[2:]) == [8, 9, 10]


def test_a_pass_drops_an_incomplete_batch():
    sampler = TwoStreamBatchSampler(cases(7, 3), labelled=2, unlabelled=1, iterations=30)
    drawn = [i for batch in batches(sampler) for i in batch[:2]]
    for start in range(0, len(drawn), 6):
        assert len(set(drawn[start : start + 6])) == 6


def test_epochs_of_any_length_cut_the_same_sequence():
    by_pass = TwoStreamBatchSampler(cases(6, 5), labelled=2, unlabelled=2)
    longer = TwoStreamBatchSampler(cases(6, 5), labelled=2, unlabelled=2, iterations=6)
    assert batches(longer, 1) + batches(longer, 2) == [b for e in (1, 2, 3, 4) for b in batches(by_pass, e)]


def test_a_batch_larger_than_the_labelled_list_repeats_it_evenly():
    sampler = TwoStreamBatchSampler(cases(3, 1), labelled=5, unlabelled=0, iterations=4)
    for batch in batches(sampler):
        assert max(Counter(batch).values()) - min(Counter(batch).values()) <= 1
        assert set(batch) == {0, 1, 2}


def test_the_seed_decides():
    def of(seed):
        return batches(TwoStreamBatchSampler(cases(8, 8), seed=seed, iterations=20))

    assert of(0) == of(0)
    assert of(0) != of(1)


def test_processes_take_turns(monkeypatch):
    alone = batches(TwoStreamBatchSampler(cases(8, 12), iterations=6))
    monkeypatch.setattr(two_stream, "get_world_size", lambda: 2)
    parts = []
    for rank in (0, 1):
        monkeypatch.setattr(two_stream, "get_rank", lambda rank=rank: rank)
        parts.append(batches(TwoStreamBatchSampler(cases(8, 12), iterations=3)))
    assert [batch for pair in zip(*parts, strict=True) for batch in pair] == alone


def test_without_unlabelled_cases_one_line_says_so(caplog):
    with caplog.at_level(logging.WARNING, logger=two_stream.__name__):
        sampler = TwoStreamBatchSampler(cases(4, 0))
    assert [record.getMessage() for record in caplog.records] == [
        "no unlabelled case: training on the 4 labelled ones alone"
    ]
    assert all(len(batch) == 2 for batch in batches(sampler))


def test_no_labels_at_all():
    with pytest.raises(InputError, match="none of its 3 cases has a label"):
        TwoStreamBatchSampler(cases(0, 3))


def item(value: float, *, labelled: bool, name: str = "a.nii.gz") -> dict:
    image = MetaTensor(torch.full((1, 2, 2), value), meta={"filename_or_obj": name})
    return {"image": image} | ({"label": torch.full((1, 2, 2), int(value))} if labelled else {})


def test_only_a_batchs_first_samples_have_labels():
    items = [item(1, labelled=False, name="u"), item(2, labelled=True), [item(3, labelled=True)]]
    batch = collate_labelled_first(items)
    assert batch["image"][:, 0, 0, 0].tolist() == [2, 3, 1]
    assert batch["label"][:, 0, 0, 0].tolist() == [2, 3]
    assert batch["image"].meta["filename_or_obj"] == ["a.nii.gz", "a.nii.gz", "u"]


def test_a_batch_of_labelled_items_is_an_ordinary_one():
    batch = collate_labelled_first([item(1, labelled=True), item(2, labelled=True)])
    assert len(batch["image"]) == len(batch["label"]) == 2
