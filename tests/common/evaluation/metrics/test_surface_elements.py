"""Surface Dice equals MONAI's on any mask, spacing and tolerance; boxes have their known distances."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from monai.metrics import compute_surface_dice
from scipy.ndimage import gaussian_filter

from common.evaluation.metrics import surface_elements as module
from common.evaluation.metrics.surface_elements import box_of, surface_dice, surface_distances

SPACINGS = [(1.0, 1.0, 1.0), (2.5, 0.9, 0.9), (0.78, 0.78, 5.0), (3.0, 0.5, 1.1)]


def monai(prediction, reference, tolerance, spacing):
    masks = [torch.from_numpy(m)[None, None] for m in (prediction, reference)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = compute_surface_dice(
            *masks, [tolerance], include_background=True, spacing=spacing, use_subvoxels=True
        )
    return float(value)


def blobs(seed, shape=(14, 23, 19), touching=True):
    """Two similar masks with holes and single voxels; they may touch the border."""
    rng = np.random.RandomState(seed)
    field = gaussian_filter(rng.standard_normal(shape), 1.5)
    other = field + 0.4 * gaussian_filter(rng.standard_normal(shape), 1.5)
    masks = [f > 0.6 * f.std() for f in (field, other)]
    if not touching:
        masks = [np.pad(m[3:-3, 3:-3, 3:-3], 3) for m in masks]
    return masks


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("tolerance", [0.0, 0.9, 1.0, 1.8, 2.5, 7.3])
def test_equals_monai(spacing, tolerance):
    prediction, reference = blobs(int(10 * tolerance), touching=tolerance < 2)
    expected = monai(prediction, reference, tolerance, spacing)
    assert surface_dice(prediction, reference, tolerance=tolerance, spacing=spacing) == pytest.approx(
        expected, abs=1e-6
    )


@pytest.mark.parametrize("spacing", SPACINGS)
def test_steps_and_tree_agree(spacing, monkeypatch):
    prediction, reference = blobs(3)
    by_steps = surface_dice(prediction, reference, tolerance=2.5, spacing=spacing)
    monkeypatch.setattr(module, "_MOST_OFFSETS", 0)
    assert surface_dice(prediction, reference, tolerance=2.5, spacing=spacing) == by_steps
    assert 0 < by_steps < 1


def test_pictures_too():
    prediction, reference = (m[7] for m in blobs(5))
    expected = monai(prediction, reference, 1.5, (0.7, 1.3))
    assert 0 < expected < 1
    assert surface_dice(prediction, reference, tolerance=1.5, spacing=(0.7, 1.3)) == pytest.approx(
        expected, abs=1e-6
    )


def test_empty_masks():
    some, none = np.ones((3, 4, 5), bool), np.zeros((3, 4, 5), bool)
    rule = {"tolerance": 9.0, "spacing": (1, 1, 1)}
    assert surface_dice(some, none, **rule) == surface_dice(none, some, **rule) == 0
    assert math.isnan(surface_dice(none, none, **rule))
    assert [len(d) for d in surface_distances(some, none, (1, 1, 1))] == [0, 0]


def test_what_cannot_be_compared():
    mask = np.ones((3, 4, 5), bool)
    with pytest.raises(ValueError, match=r"shapes \(3, 4, 5\) and \(3, 4, 4\)"):
        surface_dice(mask, mask[..., :4], tolerance=1, spacing=(1, 1, 1))
    for tolerance in (-1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="finite one of at least 0"):
            surface_dice(mask, mask, tolerance=tolerance, spacing=(1, 1, 1))
    with pytest.raises(ValueError, match="3 axes, 2 spacings"):
        surface_dice(mask, mask, tolerance=1, spacing=(1, 1))


def test_box():
    mask = np.zeros((7, 8, 9), bool)
    assert box_of(mask) is None
    mask[2, 3, 4] = mask[5, 3, 8] = True
    assert box_of(mask) == (slice(2, 6), slice(3, 4), slice(4, 9))


def test_distances_in_mm_of_each_axis():
    first = np.zeros((12, 12, 12), bool)
    first[3:6, 3:9, 3:9] = True
    for axis, spacing in enumerate((3.0, 0.5, 1.25)):
        second = np.roll(first, 2, axis=axis)
        there, back = surface_distances(first, second, (3.0, 0.5, 1.25))
        assert len(there) == len(back)  # a shift moves all elements alike
        assert there.max() == back.max() == pytest.approx(2 * spacing)
