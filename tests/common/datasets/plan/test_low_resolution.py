"""nnU-Net's low-resolution stage: the spacing at which the median volume holds four patches."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from common.datasets import PlanOptions, make_plan, read_facts
from common.datasets.plan.low_resolution import coarsened


@pytest.mark.parametrize(
    ("sides", "patch", "slices", "plane"),
    [
        ((200, 512, 512), (80, 160, 160), 2.95, 1.48),
        ((237, 560, 560), (80, 160, 160), 3.29, 1.65),
        ((237, 560, 560), (96, 160, 128), 3.36, 1.68),
    ],
)
def test_abdominal_ct_ends_near_the_published_spacing(sides, patch, slices, plane):
    """2 x 0.7 x 0.7 mm: in the plane to half of the slices first, then everywhere."""
    spacing = coarsened((2.0, 0.7, 0.7), sides, patch)
    assert spacing == pytest.approx([slices, plane, plane], rel=0.01)
    assert spacing[0] / spacing[1] == pytest.approx(2, rel=0.01)
    voxels = np.prod(sides) * np.prod(np.array([2.0, 0.7, 0.7]) / spacing)
    assert 4 / 1.01**3 < voxels / np.prod(patch) <= 4, "the first step at which it holds four at most"


def test_every_step_is_of_one_percent():
    steps = np.log(np.array(coarsened((1.0, 1.0, 1.0), (300, 300, 300), (64, 64, 64)))) / np.log(1.01)
    assert steps == pytest.approx(np.round(steps), abs=1e-6)
    fine = np.log(np.array(coarsened((5.0, 0.7, 0.7), (100, 512, 512), (40, 256, 256))) / [5, 0.7, 0.7])
    assert fine[0] == 0, "the slices are left alone while they are more than twice as thick"
    assert fine[1] > 0


def test_a_volume_of_four_patches_stays_as_it_is():
    assert coarsened((2.0, 1.0, 1.0), (40, 80, 80), (40, 40, 40)) == [2.0, 1.0, 1.0]
    assert coarsened((2.0, 1.0, 1.0), (40, 80, 81), (40, 40, 40)) == pytest.approx([2.02, 1.01, 1.01])


def test_a_plan_is_coarsened_on_request_unless_the_spacing_is_given(tiny, caplog):
    """Volumes of 4 x 5 x 6 voxels of 3 x 2 x 1 mm."""
    facts = read_facts([{"image": str(tiny.root / case["image"])} for case in tiny.training])

    def spacing(**given):
        options = PlanOptions(channels=1, classes=None, **given)
        return make_plan(facts, {}, [], options)["spacing"]

    assert spacing(low_resolution=[2, 2, 2]) == pytest.approx(
        coarsened((3, 2, 1), (4, 5, 6), (2, 2, 2)), abs=1e-6
    )
    assert spacing(low_resolution=[2, 2, 2]) != [3, 2, 1]
    assert spacing(low_resolution=[2, 2, 2], spacing=[3, 3, 3]) == [3, 3, 3]
    assert not caplog.text
    with caplog.at_level(logging.WARNING):
        assert spacing(low_resolution=[4, 4, 4]) == [3, 2, 1]
    assert "no more than four patches" in caplog.text
