"""Random patches: where they may start, what is padded, image and label together."""

from __future__ import annotations

import pytest
import torch
from monai.data import MetaTensor

from common.transforms.crops import RandPaddedCropd


def volume(*shape: int) -> torch.Tensor:
    return torch.arange(1.0, 1 + torch.Size(shape).numel()).reshape(1, *shape)


def test_starts_leave_out_the_last_place():
    """mcnet_plus/docs/method.md#transforms."""
    crop = RandPaddedCropd("image", [3, 4])
    crop.set_random_state(0)
    starts = set()
    for _ in range(200):
        crop({"image": volume(6, 8)})
        starts.add(tuple(crop.start))
    assert starts == {(a, b) for a in range(3) for b in range(4)}


def test_the_patch_is_what_lies_there():
    crop = RandPaddedCropd(["image", "label"], [2, 3, 2])
    image = volume(5, 6, 7)
    result = crop({"image": image, "label": image + 0.5})
    a, b, c = crop.start
    assert torch.equal(result["image"], image[:, a : a + 2, b : b + 3, c : c + 2])
    assert torch.equal(result["label"], result["image"] + 0.5)


@pytest.mark.parametrize(("side", "pad"), [(4, 3), (3, 3), (1, 4), (5, 0)])
def test_a_side_not_larger_than_the_patch_is_padded_on_both_ends(side, pad):
    """(patch - side) // 2 + 3 zeros."""
    crop = RandPaddedCropd("image", [4, 2])
    assert crop.pads([side, 9]) == [pad, 0]
    patch = crop({"image": volume(side, 9)})["image"]
    assert patch.shape == (1, 4, 2)


def test_padding_is_zero_and_the_volume_stays_in_the_middle():
    crop = RandPaddedCropd("image", [4], margin=1)
    crop.start = [1]
    assert crop.cut(volume(2)).tolist() == [[0.0, 1.0, 2.0, 0.0]]


def test_cases_without_a_label_and_metadata():
    crop = RandPaddedCropd(["image", "label"], [2, 2], allow_missing_keys=True)
    result = crop({"image": MetaTensor(volume(4, 4), meta={"filename_or_obj": "a"})})
    assert set(result) == {"image"}
    assert result["image"].meta["filename_or_obj"] == "a"
    with pytest.raises(KeyError):
        RandPaddedCropd(["image", "label"], [2, 2])({"image": volume(4, 4)})
