"""The decision on a scan's own grid where labels were chosen before, or where slices are interpolated too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import Orientationd

from common.inference.decision import DecideOnOwnGridd, decide_on_own_grid
from common.inference.own_grid import own_grid
from common.transforms.planned import planned_spacing

AFFINE = np.array([[-1.9, 0.1, 0, 5], [0.1, 2.0, 0, 7], [0, 0, 3.3, 9], [0, 0, 0, 1]])


def prepared(spacing) -> dict:
    image = MetaTensor(torch.zeros(1, 20, 18, 11), affine=AFFINE)
    case = Orientationd("image", axcodes="SPL", labels=None)({"image": image})
    case = planned_spacing("image", spacing)(case)
    generator = torch.Generator().manual_seed(0)
    return case | {"pred": torch.rand(3, *case["image"].shape[1:], generator=generator).softmax(dim=0)}


def test_probabilities_between_slices():
    """Preprocessing took the nearest slice; so does the decision, unless all axes are to be linear."""
    case = prepared([9.9, 1.9, 1.9])
    grid = own_grid(case["image"])
    assert grid.nearest
    usual, linear = (DecideOnOwnGridd("pred", "image", linear=yes)({**case})["pred"] for yes in (False, True))
    assert torch.equal(usual[0].as_tensor(), decide_on_own_grid(case["pred"], grid))
    assert torch.equal(
        linear[0].as_tensor(), decide_on_own_grid(case["pred"], replace(grid, nearest=frozenset()))
    )
    assert not torch.equal(usual, linear)


def test_label_maps_go_to_the_nearest_voxel():
    case = prepared([3.0, 1.0, 1.0])
    expected = DecideOnOwnGridd("pred", "image", resample="labels")({**case})["pred"]
    case["pred"] = case["pred"].argmax(dim=0, keepdim=True).to(torch.uint8)
    found = DecideOnOwnGridd("pred", "image")({**case})["pred"]
    assert torch.equal(found, expected)
    assert found.dtype == torch.uint8
    assert np.allclose(found.affine, AFFINE)
