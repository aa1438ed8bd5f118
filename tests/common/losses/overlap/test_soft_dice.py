"""Soft Dice against MONAI's: where they agree, and where they differ."""

from __future__ import annotations

import pytest
import torch
from monai.losses import DiceLoss

from common.losses.overlap.soft_dice import SoftDiceLoss


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("include_background", [False, True])
@pytest.mark.parametrize("classes", [2, 4])
def test_equals_monais(squared, include_background, classes):
    logits = torch.randn(3, classes, 4, 5, 6, dtype=torch.float64, requires_grad=True)
    label = torch.randint(classes, (3, 1, 4, 5, 6))
    shared = {"include_background": include_background, "smooth_nr": 1e-3, "smooth_dr": 1e-2}
    ours = SoftDiceLoss(squared=squared, **shared)(logits, label)
    monais = DiceLoss(squared_pred=squared, to_onehot_y=True, softmax=True, batch=True, **shared)
    theirs = monais(logits, label)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(*(torch.autograd.grad(loss, logits) for loss in (ours, theirs)))


def test_without_the_factor_two_minimum_and_gradient_are_halved():
    """mcnet_plus/docs/method.md#supervised-loss D = 2 D_published - 1."""
    logits = torch.randn(2, 4, 6, 6, dtype=torch.float64, requires_grad=True)
    label = torch.randint(4, (2, 1, 6, 6))
    options = {"include_background": True, "squared": True, "smooth_nr": 0.0, "smooth_dr": 1e-10}
    published, usual = SoftDiceLoss(overlap=1, **options), SoftDiceLoss(**options)
    torch.testing.assert_close(usual(logits, label), 2 * published(logits, label) - 1)
    torch.testing.assert_close(
        torch.autograd.grad(usual(logits, label), logits)[0],
        2 * torch.autograd.grad(published(logits, label), logits)[0],
    )
    perfect = 100.0 * torch.nn.functional.one_hot(label[:, 0], 4).movedim(-1, 1).double()
    assert float(published(perfect, label)) == pytest.approx(0.5)


def test_sums_of_a_volume_in_half_precision():
    """100,000 voxels sum to more than float16 can hold (65,504)."""
    logits = torch.zeros(1, 2, 100_000, dtype=torch.float16, requires_grad=True)
    loss = SoftDiceLoss()(logits, torch.ones(1, 1, 100_000))
    assert float(loss) == pytest.approx(1 - 2 * 0.5 / 1.5, abs=1e-4)
    assert torch.isfinite(torch.autograd.grad(loss, logits)[0]).all()


def test_label_of_another_size():
    with pytest.raises(ValueError, match=r"\(1, 1, 3\).*\(1, 2, 4\)"):
        SoftDiceLoss()(torch.zeros(1, 2, 4), torch.zeros(1, 1, 3))
