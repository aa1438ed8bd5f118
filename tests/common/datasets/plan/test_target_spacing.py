"""nnU-Net's rule for the spacing of a training."""

from __future__ import annotations

import numpy as np
import pytest

from common.datasets.check.facts import ImageFacts
from common.datasets.plan.target_spacing import target_spacing


def scan(spacing, shape) -> ImageFacts:
    """A file whose axes run to (R, A, S)."""
    affine = tuple(tuple(float(x) for x in row) for row in np.diag([*spacing, 1.0]))
    return ImageFacts(files=("a",), shape=tuple(shape), channels=1, spacing=tuple(spacing), affine=affine)


def thick(slices, count=100, side=512, plane=0.76):
    return [scan((plane, plane, mm), (side, side, count)) for mm in slices]


def test_thick_slices_in_few_get_the_10th_percentile():
    """As of BCV: 3 mm in the median, more than 3 x 0.76, and 3 x 100 slices less than 512."""
    slices = [2.5, 2.5, 3, 3, 3, 3, 3, 3, 5, 5, 5]
    assert target_spacing(thick(slices), "SPL") == pytest.approx([np.percentile(slices, 10), 0.76, 0.76])
    assert np.percentile(slices, 10) == 2.5


def test_not_below_the_larger_of_the_others():
    """As of KiTS: the percentile 0.5 is lifted to 0.78125 and a little more."""
    slices = [0.5, 0.5, 3, 3, 3, 3, 3, 5, 5, 5]
    assert target_spacing(thick(slices, plane=0.78125), "SPL") == [0.78126, 0.78125, 0.78125]


@pytest.mark.parametrize(
    ("slices", "count"),
    [([1.0, 2.28, 2.28], 100), ([1.0, 3.0, 3.0], 171)],
    ids=["not three times as thick", "not few"],
)
def test_otherwise_the_median(slices, count):
    assert target_spacing(thick(slices, count), "SPL") == pytest.approx([np.median(slices), 0.76, 0.76])
    assert target_spacing(thick([1.0, 3.0, 3.0], 170), "SPL")[0] < 3


def test_axes_are_those_of_the_training():
    slices = [3.0] * 9 + [2.0, 2.0]
    expected = float(np.percentile(slices, 10))
    assert target_spacing(thick(slices), "RAS") == pytest.approx([0.76, 0.76, expected])
    assert expected < 3
