"""Dice and cross-entropy on nested channels; the authors' numbers are in tests/bundles/vptta."""

from __future__ import annotations

import pytest
import torch

from common.losses.overlap.nested_dice_bce import NestedDiceBCELoss
from common.tensors.nested import nested_channels


def channels_of(label, count):
    return nested_channels(label, count + 1, dim=1).to(torch.float64)


def by_hand(logits, target):
    p, g = logits.sigmoid(), target
    dice = 1 - (2 * (p * g).sum() + 1) / (p.sum() + g.sum() + 1)
    return dice - (g * p.log() + (1 - g) * (1 - p).log()).mean()


@pytest.mark.parametrize("channels", [1, 2])
def test_value_and_gradient(channels):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, channels, 5, 7, generator=generator, dtype=torch.float64).requires_grad_()
    label = torch.randint(0, channels + 1, (3, 1, 5, 7), generator=generator)
    loss, expected = NestedDiceBCELoss()(logits, label), by_hand(logits, channels_of(label, channels))
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(
        torch.autograd.grad(loss, logits)[0], torch.autograd.grad(expected, logits)[0], rtol=1e-6, atol=1e-9
    )


def test_perfect_and_inverted_predictions():
    label = torch.tensor([[[[0, 1], [2, 2]]]])
    sure = 40 * (2 * channels_of(label, 2) - 1)
    assert NestedDiceBCELoss()(sure, label) < 1e-6
    assert NestedDiceBCELoss()(-sure, label) > 40


def test_half_precision_is_summed_in_float32():
    label = torch.ones(1, 1, 512, 512)
    loss = NestedDiceBCELoss()(torch.full((1, 2, 512, 512), 2.0, dtype=torch.float16), label)
    assert loss.isfinite()
    torch.testing.assert_close(
        loss, by_hand(torch.full((1, 2, 512, 512), 2.0), channels_of(label, 2).float())
    )


def test_sizes_must_belong_together():
    with pytest.raises(ValueError, match=r"\[1, 2, 4, 4\].*one channel"):
        NestedDiceBCELoss()(torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 4, 4))
