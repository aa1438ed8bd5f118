"""Surface metrics in millimetres, on boxes with known distances."""

from __future__ import annotations

import math

import pytest
import torch
from monai.data import MetaTensor

from common.evaluation.metrics.surface import HausdorffDistance95, NormalizedSurfaceDice


def box(start: int, stop: int, value: int = 1, spacing=(3.0, 1.0, 0.5)) -> MetaTensor:
    label = torch.zeros(1, 12, 20, 24)
    label[:, start:stop, 5:15, 6:18] = value
    return MetaTensor(label, affine=torch.diag(torch.tensor([*spacing, 1.0])))


def value(metric, pred, truth) -> torch.Tensor:
    metric.reset()
    metric(y_pred=[pred], y=[truth])
    return metric.get_buffer()[0]


def test_equal_maps():
    assert value(HausdorffDistance95(3), box(3, 7), box(3, 7))[0] == 0
    assert value(NormalizedSurfaceDice(3, 1.0), box(3, 7), box(3, 7))[0] == 1


def test_a_shift_counts_in_mm_of_its_own_axis():
    hd = HausdorffDistance95(2)
    assert float(value(hd, box(4, 8), box(3, 7))[0]) == pytest.approx(3.0)
    assert float(value(hd, box(5, 9), box(3, 7))[0]) == pytest.approx(6.0)
    shifted = MetaTensor(torch.roll(box(3, 7), 2, dims=3), affine=box(3, 7).affine)
    assert float(value(hd, shifted, box(3, 7))[0]) == pytest.approx(1.0)


def test_surface_dice_depends_on_the_tolerance():
    pred, truth = box(4, 8), box(3, 7)
    strict, loose = (float(value(NormalizedSurfaceDice(2, t), pred, truth)[0]) for t in (1.0, 3.5))
    assert loose == pytest.approx(1, abs=1e-6)
    assert 0.1 < strict < 0.9


def test_a_structure_cut_by_the_border_has_a_surface_there():
    whole = MetaTensor(torch.ones(1, 6, 6, 6), affine=torch.eye(4))
    part = whole.clone()
    part[:, :3] = 0
    assert float(value(HausdorffDistance95(2), part, whole)[0]) == pytest.approx(3.0)
    assert 0 < float(value(NormalizedSurfaceDice(2, 0.5), part, whole)[0]) < 1


def test_a_class_in_one_map_is_the_worst_and_in_neither_has_no_value():
    diagonal = math.hypot(12 * 3, 20, 24 * 0.5)
    hd = value(HausdorffDistance95(4), box(3, 7, 1), box(3, 7, 2))
    assert hd[:2].tolist() == pytest.approx([diagonal, diagonal])
    assert math.isnan(hd[2])
    nsd = value(NormalizedSurfaceDice(4, 1.0), box(3, 7, 1), box(3, 7, 2))
    assert nsd[:2].tolist() == [0, 0]
    assert math.isnan(nsd[2])


def test_a_class_in_one_map_can_be_left_out():
    apart = value(HausdorffDistance95(3, count_missing=False), box(3, 7, 1), box(3, 7, 2))
    assert torch.isnan(apart).all()
    both = value(HausdorffDistance95(2, count_missing=False), box(3, 7), box(3, 7))
    assert both.tolist() == [0]


def test_the_mean_skips_missing_values():
    metric = HausdorffDistance95(3)
    metric(y_pred=[box(4, 8), box(3, 7)], y=[box(3, 7), box(3, 7)])
    assert float(metric.aggregate()) == pytest.approx(1.5)
