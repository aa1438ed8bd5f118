"""The challenge's two scores: segrap2023/docs/method.md#scores."""

from __future__ import annotations

import numpy as np
import pytest

import common  # noqa: F401 (makes bundles importable)
from segrap2023.metrics import score_structure

SPACING = [3.0, 0.5, 0.5]


def ball(centre, radius: float, shape=(9, 24, 24)) -> np.ndarray:
    places = np.indices(shape).transpose(1, 2, 3, 0) * SPACING
    return np.linalg.norm(places - np.array(centre) * SPACING, axis=-1) <= radius


def test_rules_for_empty_masks():
    one, none = ball((4, 12, 12), 5), np.zeros((9, 24, 24), bool)
    for masks, value in (((none, none), 1.0), ((one, none), 0.0), ((none, one), 0.0), ((one, one), 1.0)):
        found = score_structure(*masks, spacing=SPACING, tolerance_mm=1.0)
        assert found == {"DSC": value, "NSD": value}


def test_a_larger_tolerance_never_scores_lower():
    random = np.random.default_rng(0)
    for _ in range(5):
        first, second = (ball(random.uniform([3, 9, 9], [6, 15, 15]), random.uniform(2, 5)) for _ in range(2))
        scores = [
            score_structure(first, second, spacing=SPACING, tolerance_mm=mm)["NSD"] for mm in (1.0, 2.0, 3.0)
        ]
        assert scores == sorted(scores)
        assert scores[0] < scores[2]


def test_four_decimals_and_the_spacing_count():
    first, second = ball((4, 12, 12), 5), ball((4, 13, 12), 5)
    found = score_structure(first, second, spacing=SPACING, tolerance_mm=0.6)
    assert all(value == round(value, 4) for value in found.values())
    wider = score_structure(first, second, spacing=[3.0, 5.0, 5.0], tolerance_mm=0.6)
    assert wider["DSC"] == found["DSC"]
    assert wider["NSD"] < found["NSD"]


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="expected equal shapes"):
        score_structure(np.zeros((2, 2, 2), bool), np.zeros((2, 2, 3), bool), spacing=SPACING, tolerance_mm=1)
