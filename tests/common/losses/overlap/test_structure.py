"""Structure loss: the authors' numbers and its weights."""

from __future__ import annotations

import pytest
import torch

from common.losses.overlap.structure import StructureLoss
from tests.vectors import load


@pytest.fixture
def disc():
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    return ((y - 32) ** 2 + (x - 32) ** 2 < 20**2).float()[None, None]


def test_as_published():
    vector = load("mast_structure_loss")
    logits, target = vector.inputs["logits"].clone().requires_grad_(), vector.inputs["target"]
    loss = StructureLoss()(logits, target)
    (gradient,) = torch.autograd.grad(loss, logits)
    singles = [StructureLoss()(logits[i : i + 1], target[i : i + 1]) for i in range(3)]
    vector.compare({"loss": loss, "loss_single": torch.stack(singles), "grad_s": gradient[..., ::2, ::2]})


def test_maps_are_summed(disc):
    maps = [torch.randn(1, 1, 64, 64) for _ in range(4)]
    loss = StructureLoss()
    torch.testing.assert_close(loss(maps, disc), sum(loss(one, disc) for one in maps))


@pytest.mark.parametrize("weighted", [False, True])
def test_perfect_prediction_costs_nothing(disc, weighted):
    assert StructureLoss(weighted_bce=weighted)(80 * disc - 40, disc) < 1e-3


@pytest.mark.parametrize("weighted", [False, True])
def test_errors_at_the_contour_cost_more(disc, weighted):
    """Two errors of equal size, on the contour and in the middle."""
    at_contour, inside = disc.clone(), disc.clone()
    at_contour[0, 0, 13:17, 30:34] = 0
    inside[0, 0, 30:34, 30:34] = 0
    assert (disc - at_contour).sum() == (disc - inside).sum()
    loss = StructureLoss(weighted_bce=weighted)
    assert loss(20 * at_contour - 10, disc) > loss(20 * inside - 10, disc) + 1e-3


def test_plain_cross_entropy_ignores_the_contour(disc):
    logits = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0)) + 4 * disc
    published, paper = StructureLoss()(logits, disc), StructureLoss(weighted_bce=True)(logits, disc)
    assert abs(published - paper) > 0.05


def test_shapes_must_agree(disc):
    with pytest.raises(ValueError, match=r"\[1, 1, 64, 64\].*\[1, 1, 32, 32\]"):
        StructureLoss()(torch.zeros(1, 1, 32, 32), disc)
