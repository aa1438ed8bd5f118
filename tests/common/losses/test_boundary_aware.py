"""BA-Net's loss by hand: scales, targets, Dice by sample or batch, and the agreement of both heads."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import one_hot

from common.errors import InputError
from common.losses.boundary_aware import BoundaryAwareLoss, disagreement, scale_weights
from common.transforms.boundary import inner_boundary


def logits_of(label: torch.Tensor, classes: int, size: float = 30.0) -> torch.Tensor:
    """(B, K, *S) that are certain of a label map (B, 1, *S)."""
    return size * one_hot(label[:, 0].long(), classes).movedim(-1, 1).float()


@pytest.mark.parametrize(
    ("scales", "expected"),
    [(1, [1]), (2, [1, 0]), (3, [2 / 3, 1 / 3, 0]), (5, [8 / 15, 4 / 15, 2 / 15, 1 / 15, 0])],
)
def test_weights_of_the_scales(scales, expected):
    assert scale_weights(scales) == pytest.approx(expected)


def test_one_scale_by_hand():
    """Dice without the background, plus cross-entropy over all voxels."""
    label = torch.tensor([0, 1, 2, 1]).reshape(1, 1, 2, 2)
    p = torch.tensor([[0.7, 0.2, 0.1, 0.3], [0.2, 0.6, 0.3, 0.4], [0.1, 0.2, 0.6, 0.3]])
    truth = one_hot(label.flatten(), 3).T.float()
    dice = (2 * (p * truth).sum(1) + 1e-5) / (p.sum(1) + truth.sum(1) + 1e-5)
    expected = -p[label.flatten(), range(4)].log().mean() + 1 - dice[1:].mean()
    found = BoundaryAwareLoss()(p.log().reshape(1, 3, 2, 2), label)
    torch.testing.assert_close(found, expected)


def test_weights_of_classes_enter_dice_and_cross_entropy_and_leave_boundaries_alone():
    label = torch.tensor([0, 1, 2, 1]).reshape(1, 1, 2, 2)
    p = torch.tensor([[0.7, 0.2, 0.1, 0.3], [0.2, 0.6, 0.3, 0.4], [0.1, 0.2, 0.6, 0.3]])
    truth = one_hot(label.flatten(), 3).T.float()
    weights = torch.tensor([1.0, 5.0, 2.0])
    dice = 1 - (2 * (p * truth).sum(1) + 1e-5) / (p.sum(1) + truth.sum(1) + 1e-5)
    of_voxels = weights[label.flatten()]
    entropy = -(of_voxels * p[label.flatten(), range(4)].log()).sum() / of_voxels.sum()
    loss = BoundaryAwareLoss(weights=weights.tolist())
    logits = p.log().reshape(1, 3, 2, 2)
    classes = loss(logits, label)
    torch.testing.assert_close(classes, entropy + (weights * dice)[1:].mean())
    boundary, edges = logits[:, :2], label.clamp(max=1)
    both = loss({"classes": [logits], "boundary": [boundary]}, {"classes": label, "boundary": edges})
    torch.testing.assert_close(both - classes, BoundaryAwareLoss()(boundary, edges))
    even = BoundaryAwareLoss(weights=[1.0] * 3)
    torch.testing.assert_close(even(logits, label), BoundaryAwareLoss()(logits, label))


@pytest.mark.parametrize("batch", [False, True])
def test_dice_by_sample_or_over_the_batch(batch):
    """The second sample has no foreground and none is found: alone its Dice is 1, by the smoothing."""
    label = torch.tensor([[1, 0, 0, 0], [0, 0, 0, 0]]).reshape(2, 1, 2, 2)
    p = torch.tensor([[0.5, 0, 0, 0], [0, 0, 0, 0]]).clamp(1e-9, 1 - 1e-7).reshape(2, 2, 2)
    logits = torch.stack([(1 - p).log(), p.log()], dim=1)
    entropy = -torch.tensor(0.5).log() / 8
    dice = 2 * 0.5 / 1.5 if batch else (2 * 0.5 / 1.5 + 1) / 2
    assert float(BoundaryAwareLoss(batch=batch)(logits, label)) == pytest.approx(
        float(entropy) + 1 - dice, abs=1e-3
    )


@pytest.mark.parametrize("part", ["classes", "boundary"])
def test_targets_of_coarser_scales_are_the_voxels_behind_the_half(part):
    """Factor 2 takes voxel 2i + 1, factor 4 voxel 4i + 2: certain of these, the loss is 0."""
    label = torch.randint(0, 2, (1, 1, 8, 8, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    picks = [label, label[..., 1::2, 1::2, 1::2], label[..., 2::4, 2::4, 2::4]]
    maps = [logits_of(one, 2) for one in [*picks, picks[-1][..., 1:, 1:, 1:]]]  # the last one weighs nothing
    still = [logits_of(torch.zeros_like(label), 2)]
    nothing = torch.zeros_like(label)
    output, target = {"classes": still, "boundary": still}, {"classes": nothing, "boundary": nothing}
    loss = BoundaryAwareLoss()
    constant = float(loss(still, nothing))
    found = float(loss({**output, part: maps}, {**target, part: label}))
    assert found - constant == pytest.approx(0, abs=1e-4)
    maps[1] = logits_of(label[..., ::2, ::2, ::2], 2)
    assert float(loss({**output, part: maps}, {**target, part: label})) - constant > 0.1


def test_both_parts_count_alike_and_either_may_be_missing():
    generator = torch.Generator().manual_seed(0)
    maps = [torch.randn(2, 2, side, side, generator=generator) for side in (8, 4)]
    label = torch.randint(0, 2, (2, 1, 8, 8), generator=generator)
    target = {"classes": label, "boundary": 1 - label}
    loss = BoundaryAwareLoss()
    alone = loss(maps, target)
    torch.testing.assert_close(loss(maps, label), alone)
    torch.testing.assert_close(loss(maps[0], label), alone)  # of two scales the coarser weighs nothing
    both = loss({"classes": maps, "boundary": maps}, target)
    torch.testing.assert_close(both, alone + loss(maps, 1 - label))


def test_every_head_gets_a_gradient_and_the_coarsest_a_zero():
    """As training on several processes requires."""
    maps = [torch.randn(1, 2, side, side, requires_grad=True) for side in (8, 4, 2)]
    BoundaryAwareLoss()(maps, torch.ones(1, 1, 8, 8)).backward()
    assert [bool(one.grad.any()) for one in maps] == [True, True, False]


def test_heads_that_agree():
    """Certain classes and their own inner shells: the boundary target is the agreement's zero."""
    generator = torch.Generator().manual_seed(0)
    label = torch.randint(0, 4, (2, 1, 3, 3, 3), generator=generator).repeat_interleave(3, 2)
    label = label.repeat_interleave(3, 3).repeat_interleave(3, 4)
    boundary = inner_boundary(label)
    classes = logits_of(label, 4)
    assert float(disagreement(classes, logits_of(boundary, 2))) < 1e-9
    assert float(disagreement(classes, logits_of(~boundary, 2))) == pytest.approx(1, abs=1e-6)


def test_agreement_is_off_by_default():
    label = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    label[..., 2:6, 2:6] = 1
    output = {"classes": [logits_of(label, 2)], "boundary": [logits_of(torch.zeros_like(label), 2)]}
    target = {"classes": label, "boundary": label}
    difference = disagreement(output["classes"][0], output["boundary"][0])
    assert difference > 0.1
    plain, weighted = (float(BoundaryAwareLoss(**k)(output, target)) for k in ({}, {"consistency": 3.0}))
    assert weighted == pytest.approx(plain + 3 * float(difference), rel=1e-5)


def test_a_reward_for_disagreement_is_refused():
    with pytest.raises(InputError, match=r"consistency = -1\.0; expected a weight"):
        BoundaryAwareLoss(consistency=-1.0)
