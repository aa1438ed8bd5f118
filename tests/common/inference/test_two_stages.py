"""Two stages: the first one's view, boxes around what it finds, and what the second one finds in them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from common.inference.two_stages import (
    box_around,
    boxes_around_pieces,
    coarse_size,
    coarse_view,
    pieces,
    refine,
)


def test_the_first_view_is_averaged_and_knows_its_spacing():
    image = torch.randn(2, 1, 12, 15, 16)
    view, spacing = coarse_view(image, (3.0, 1.0, 1.0), (2.0, 2.0, 2.0))
    assert view.shape == (2, 1, 12, 8, 8)
    assert coarse_size((12, 15, 16), (3.0, 1.0, 1.0), (2.0, 2.0, 2.0)) == [12, 8, 8]
    assert spacing == pytest.approx([3.0, 15 / 8, 2.0])  # the field of view stays
    assert torch.allclose(view[..., 0, 0], image[..., :2, :2].mean(dim=(3, 4)), atol=1e-6)
    assert coarse_size((1, 1, 1), (1.0, 1.0, 1.0), (9.0, 9.0, 9.0)) == [1, 1, 1]


def test_pieces_touch_by_corners_and_have_volumes():
    mask = np.zeros((6, 6, 12), bool)
    mask[1:3, 1:3, 1:3] = mask[3, 3, 3] = mask[0, 0, 11] = True
    numbered, volumes = pieces(mask, (5.0, 10.0, 20.0))
    assert volumes.tolist() == [mask.size - 10, 1, 9]
    assert (numbered > 0).tolist() == mask.tolist()
    assert numbered[3, 3, 3] == numbered[1, 1, 1] != numbered[0, 0, 11]


def test_boxes_in_the_finer_grid():
    mask = np.zeros((10, 20, 20), bool)
    mask[2:6, 4:10, 3:8] = True
    mask[3:5, 4:10, 14:18] = True
    mask[9, 19, 19] = True
    rule = {"margin_mm": 4.0, "smallest_ml": 0.05}
    first, second = boxes_around_pieces(mask, (2.0, 2.0, 2.0), (10, 40, 40), **rule)
    assert first == (slice(0, 8), slice(4, 24), slice(2, 20))
    assert second == (slice(1, 7), slice(4, 24), slice(24, 40))
    assert boxes_around_pieces(mask, (2.0, 2.0, 2.0), (10, 40, 40), most=1, **rule) == [first]
    assert boxes_around_pieces(mask, (2.0, 2.0, 2.0), (10, 40, 40), margin_mm=4.0, smallest_ml=9) == []


def test_boxes_are_as_large_as_a_patch():
    """Around the piece where there is room, shifted at the border, never beyond it."""
    mask = np.zeros((10, 20, 20), bool)
    mask[2:6, 4:10, 0:3] = True
    rule = {"margin_mm": 0.0, "smallest_ml": 0.0}
    assert boxes_around_pieces(mask, (2.0, 2.0, 2.0), (10, 20, 20), **rule) == [
        (slice(2, 6), slice(4, 10), slice(0, 3))
    ]
    assert boxes_around_pieces(mask, (2.0, 2.0, 2.0), (10, 20, 20), at_least=(16, 9, 8), **rule) == [
        (slice(0, 10), slice(3, 12), slice(0, 8))
    ]


def test_a_box_around_all_of_a_structure():
    mask = np.zeros((10, 20, 20), bool)
    mask[4, 6:8, 9] = mask[5, 12, 3] = True
    spacing = (3.0, 1.0, 1.0)
    assert box_around(mask, spacing, mask.shape, margin_mm=0) == (slice(4, 6), slice(6, 13), slice(3, 10))
    assert box_around(mask, spacing, mask.shape, margin_mm=3) == (slice(3, 7), slice(3, 16), slice(0, 13))
    finer = box_around(mask, spacing, (10, 40, 40), margin_mm=3, at_least=(4, 32, 64))
    assert finer == (slice(3, 7), slice(3, 35), slice(0, 40))
    assert box_around(np.zeros_like(mask), spacing, mask.shape, margin_mm=3) is None


def test_boxes_hold_the_margin_in_world_coordinates():
    """For random masks and grids: never less than the margin but at the border, never a voxel more."""
    rng = np.random.RandomState(0)
    for _ in range(50):
        mask = np.zeros(rng.randint(3, 12, 3), bool)
        mask[tuple(rng.randint(mask.shape))] = mask[tuple(rng.randint(mask.shape))] = True
        spacing, fine = rng.uniform(0.5, 4, 3), rng.randint(3, 40, 3)
        margin = rng.uniform(0, 5)
        step = spacing * mask.shape / fine  # mm of a fine voxel
        for axis, side in enumerate(box_around(mask, spacing, fine.tolist(), margin_mm=margin)):
            found = np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis})))
            low, high = found[0] * spacing[axis] - margin, (found[-1] + 1) * spacing[axis] + margin
            whole = fine[axis] * step[axis]
            tight = 1e-6 * step[axis]
            assert max(low, 0) - step[axis] - tight < side.start * step[axis] <= max(low, 0) + tight
            assert min(high, whole) - tight <= side.stop * step[axis] < min(high, whole) + step[axis] + tight


def test_findings_are_pasted_where_they_were_found():
    image = torch.arange(2 * 4 * 6 * 8.0).reshape(1, 2, 4, 6, 8)
    boxes = [(slice(0, 2), slice(0, 6), slice(0, 4)), (slice(1, 4), slice(2, 6), slice(2, 8))]
    seen = []

    def second(crop):
        seen.append(tuple(crop.shape))
        return crop.double() + 1

    result = torch.full_like(image, -1)
    assert refine(result, image, boxes, second) is result
    assert seen == [(1, 2, 2, 6, 4), (1, 2, 3, 4, 6)]
    inside = torch.zeros(4, 6, 8, dtype=torch.bool)
    for box in boxes:
        inside[box] = True
    assert torch.equal(result, torch.where(inside, image + 1, torch.tensor(-1.0)))


def test_where_boxes_overlap_the_last_or_the_highest_counts():
    image = torch.zeros(1, 1, 1, 1, 3)
    boxes = [(slice(0, 1), slice(0, 1), slice(0, 2)), (slice(0, 1), slice(0, 1), slice(1, 3))]
    for overlapping, expected in (("last", [0.9, 0.2, 0.2]), ("highest", [0.9, 0.9, 0.5])):
        values = iter((0.9, 0.2))
        result = torch.tensor([0.1, 0.1, 0.5]).reshape(image.shape)
        refine(
            result,
            image,
            boxes,
            lambda crop, v=values: torch.full_like(crop, next(v)),
            overlapping=overlapping,
        )
        assert result.flatten().tolist() == pytest.approx(expected)
    with pytest.raises(ValueError, match="'mean'; need 'last' or 'highest'"):
        refine(image, image, boxes, torch.sigmoid, overlapping="mean")
