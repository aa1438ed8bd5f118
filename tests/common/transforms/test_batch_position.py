"""Foreground oversampling by position in the batch: exact counts, with and without workers."""

from __future__ import annotations

import pytest
import torch
from monai.data import DataLoader, Dataset
from monai.data.utils import set_rnd
from monai.transforms import Compose, RandCropByLabelClassesd, RandSpatialCropSamplesd

from common.transforms.batch_position import ByBatchPosition


def loader(batch_size: int, share: float, workers: int) -> DataLoader:
    """Cases whose foreground is one voxel of a large volume: a random crop hardly ever contains it."""
    label = torch.zeros(1, 40, 40, 40)
    label[0, 20, 21, 22] = 1
    crop = ByBatchPosition(
        RandSpatialCropSamplesd("label", roi_size=[3, 3, 3], num_samples=1, random_size=False),
        RandCropByLabelClassesd(
            "label", label_key="label", spatial_size=[3, 3, 3], ratios=[1e-6, 1], num_classes=2, num_samples=1
        ),
        batch_size=batch_size,
        share=share,
    )
    data = Dataset([{"label": label}] * 24, Compose([crop]))
    return DataLoader(data, batch_size=batch_size, num_workers=workers, drop_last=True)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(("batch_size", "forced"), [(2, 1), (3, 1), (4, 1), (6, 2), (8, 3)])
def test_the_last_third_of_every_batch_has_foreground(batch_size, forced, workers):
    torch.manual_seed(0)
    for batch in loader(batch_size, 0.33, workers):
        has = [bool(crop.any()) for crop in batch["label"]]
        assert has == [False] * (batch_size - forced) + [True] * forced


def test_seeding_begins_a_new_batch():
    """An epoch abandoned in the middle of a batch does not shift the next one."""
    data = loader(2, 0.33, 0).dataset
    _ = data[0]
    set_rnd(data, 5)
    assert [bool(data[i][0]["label"].any()) for i in range(4)] == [False, True, False, True]


def test_the_seed_decides_the_crops():
    def crops(seed: int) -> torch.Tensor:
        values = torch.arange(1000.0).view(1, 10, 10, 10)
        crop = RandSpatialCropSamplesd("label", roi_size=[2, 2, 2], num_samples=1, random_size=False)
        both = ByBatchPosition(crop, crop, batch_size=2, share=0.5).set_random_state(seed)
        return torch.stack([both({"label": values})[0]["label"] for _ in range(6)])

    assert torch.equal(crops(1), crops(1))
    assert not torch.equal(crops(1), crops(2))


@pytest.mark.parametrize(("batch_size", "share"), [(0, 0.3), (2, 1.5), (2, -0.1)])
def test_invalid_arguments(batch_size, share):
    with pytest.raises(ValueError, match="expected a share"):
        ByBatchPosition(dict, dict, batch_size=batch_size, share=share)
