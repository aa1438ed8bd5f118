"""The boundary target of a batch, and how much of its foreground is found."""

from __future__ import annotations

import torch

from common.training.boundary_target import PrepareBoundary, class_hits


def test_boundaries_are_those_of_the_patch_as_it_comes():
    label = torch.zeros(1, 1, 6, 6, dtype=torch.uint8)
    label[..., 1:, :3] = 2  # cut by three borders of the patch
    image, target = PrepareBoundary()({"image": torch.rand(1, 1, 6, 6), "label": label})
    assert image.shape == label.shape
    assert torch.equal(target["classes"], label)
    assert target["boundary"].dtype == label.dtype
    assert target["boundary"][0, 0].tolist() == [
        [0, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        *[[0, 0, 1, 0, 0, 0]] * 4,
    ]


def test_hits_with_and_without_a_boundary_decoder():
    label = torch.tensor([0, 1, 2, 2]).reshape(1, 1, 2, 2)
    found = torch.nn.functional.one_hot(torch.tensor([1, 1, 2, 0]), 3).T.reshape(1, 3, 2, 2).float()
    target = {"classes": label, "boundary": label}
    for pred in (found, [found], {"classes": [found], "boundary": []}):
        assert class_hits({"pred": pred, "label": target}) == 2
