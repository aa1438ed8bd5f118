"""Post-processing: banet_kidney/docs/method.md#post-processing."""

from __future__ import annotations

import numpy as np
import torch
from monai.data import MetaTensor

import common  # noqa: F401 (makes bundles importable)
from banet_kidney.largest_component import KeepLargestComponentd, largest_component


def label_map() -> MetaTensor:
    label = torch.zeros(1, 8, 8, 8, dtype=torch.uint8)
    label[0, 1:3, 1, 1] = 2
    label[0, 3, 1, 1:3] = 4  # touches the first by a face: four voxels together
    label[0, 4, 2, 3] = 1  # by a corner only
    label[0, 6, 5:8, 6] = 3
    return MetaTensor(label, affine=torch.diag(torch.tensor([2.0, 2, 3, 1])))


def test_all_structures_together_connected_by_faces():
    label = label_map()
    found = KeepLargestComponentd("pred")({"pred": label})["pred"]
    expected = label.clone()
    expected[0, 4, 2, 3] = 0
    expected[0, 6] = 0
    assert found.dtype == label.dtype
    assert torch.equal(found, expected)
    assert torch.equal(found.affine, label.affine)


def test_equally_large_components_are_all_kept():
    mask = np.zeros((6, 6, 6), bool)
    mask[0, 0, :3] = mask[3, 3, :3] = mask[5, 5, 4:] = True
    kept = largest_component(mask)
    assert kept.sum() == 6
    assert not kept[5].any()


def test_nothing_found():
    assert not largest_component(np.zeros((4, 4, 4), bool)).any()
