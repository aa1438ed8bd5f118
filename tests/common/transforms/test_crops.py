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


@pytest.mark.parametrize(
    ("shape", "pads"),
    [
        ([4, 12], [3, 0]),
        ([3, 12], [3, 0]),
        ([1, 12], [4, 0]),
        ([4, 9], [3, 1]),
        ([4, 8], [3, 1]),
        ([4, 7], [3, 2]),
        ([4, 10], [3, 0]),
        ([5, 7], [0, 0]),
    ],
)
def test_once_a_side_is_not_larger_than_the_patch_all_are_padded(shape, pads):
    """max((patch - side) // 2 + 3, 0) zeros at both ends, also of sides up to four voxels longer than 5."""
    crop = RandPaddedCropd("image", [4, 5])
    assert crop.pads(shape) == pads
    patch = crop({"image": volume(*shape)})["image"]
    assert patch.shape == (1, 4, 5)


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
