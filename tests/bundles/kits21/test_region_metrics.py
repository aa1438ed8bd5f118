"""The evaluator's scores equal those of the challenge's tool."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

import common  # noqa: F401 (makes bundles importable)
from kits21.metrics import COLUMNS, score_case
from kits21.region_metrics import RegionDice, RegionSurfaceDice
from tests.bundles.kits21.kidneys import SPACING, ball


def label(shift: int) -> np.ndarray:
    found = ball((10, 20, 11 + shift), (7, 9, 6)).astype(np.uint8)
    found[ball((10, 20, 32), (7, 9, 6 + shift))] = 1
    found[ball((12, 26, 33), (3, 3, 3 + shift))] = 3
    return found


def test_scores_equal_the_tools():
    """The first case has no tumor in either map, which scores 1; the second only in the prediction."""
    with_tumor = label(1)
    with_tumor[ball((9, 14, 13), (4, 5, 4))] = 2
    affine = torch.diag(torch.tensor([*SPACING, 1.0]))
    metrics = {"Dice": RegionDice(), "SD": RegionSurfaceDice()}
    for prediction in (label(1), with_tumor):
        expected = score_case(prediction, label(0), SPACING)
        found = []
        for metric in metrics.values():
            truth = MetaTensor(torch.from_numpy(label(0))[None], affine=affine)
            (values,) = metric([torch.from_numpy(prediction)[None]], [truth])
            found += values.tolist()
        assert found == pytest.approx([expected[c] for c in COLUMNS], rel=1e-7)  # the affine is float32
        assert 0 < found[0] < 1
    dice = metrics["Dice"].get_buffer()
    assert dice.shape == (2, 3)
    assert dice[:, 2].tolist() == [1, 0]
