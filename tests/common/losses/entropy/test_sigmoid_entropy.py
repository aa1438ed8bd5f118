"""Entropy of sigmoid predictions, complete and as in GraTa's code."""

from __future__ import annotations

import math

import pytest
import torch

from common.losses.entropy.sigmoid_entropy import sigmoid_entropy


def test_by_hand():
    """Probabilities 1/2 and 1/4 in two channels of one pixel."""
    logits = torch.tensor([0.0, -math.log(3)]).view(1, 2, 1, 1)
    full = math.log(2) + 0.25 * math.log(4) + 0.75 * math.log(4 / 3)
    one_sided = 0.5 * math.log(2) + 0.25 * math.log(4)
    assert sigmoid_entropy(logits).item() == pytest.approx(full, rel=1e-6)
    assert sigmoid_entropy(logits, one_sided=True).item() == pytest.approx(one_sided, rel=1e-5)


def test_channels_are_summed_and_pixels_averaged():
    logits = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    each = [sigmoid_entropy(logits[b : b + 1, k : k + 1]) for b in range(2) for k in range(3)]
    torch.testing.assert_close(sigmoid_entropy(logits), torch.stack(each).sum() / 2)


@pytest.mark.parametrize("one_sided", [False, True])
def test_gradients_are_those_of_finite_differences(one_sided):
    logits = torch.randn(2, 2, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    loss = lambda z: sigmoid_entropy(z, one_sided=one_sided)  # noqa: E731
    assert torch.autograd.gradcheck(loss, logits.requires_grad_())


def test_certain_predictions_have_none_and_a_finite_gradient():
    logits = torch.tensor([-90.0, 90.0]).view(1, 1, 1, 2).requires_grad_()
    loss = sigmoid_entropy(logits)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert torch.isfinite(gradient).all()


def test_half_precision_is_computed_in_single():
    logits = torch.full((1, 1, 2, 2), 12.0, dtype=torch.float16)
    assert sigmoid_entropy(logits).dtype == torch.float32
    assert sigmoid_entropy(logits).item() == pytest.approx(sigmoid_entropy(logits.float()).item())
