"""mcnet_plus/docs/method.md#how-to-know-it-works."""

from __future__ import annotations

import pytest
import torch

from common.tensors.sharpening import class_logits, sharpen, sharpen_logits


def test_known_values():
    torch.testing.assert_close(
        sharpen(torch.tensor([0.5, 0.6], dtype=torch.float64)),
        torch.tensor([0.5, 0.6**10 / (0.6**10 + 0.4**10)], dtype=torch.float64),
    )
    assert float(sharpen(torch.tensor(0.6))) == pytest.approx(0.98295, abs=1e-5)


def test_monotone_and_within_the_unit_interval():
    p = torch.linspace(0, 1, 101)
    s = sharpen(p)
    assert (s.diff() >= 0).all()
    assert s[0] == 0
    assert s[-1] == 1
    assert (s[p < 0.5] < p[p < 0.5])[1:].all()


def test_temperature_one_changes_nothing():
    z = torch.randn(2, 2, 50, dtype=torch.float64)
    torch.testing.assert_close(sharpen_logits(z, 1.0), z.softmax(1))


@pytest.mark.parametrize("classes", [2, 4])
def test_both_forms_agree(classes):
    z = torch.randn(3, classes, 50, dtype=torch.float64)
    torch.testing.assert_close(sharpen_logits(z), sharpen(z.softmax(1)))
    torch.testing.assert_close(torch.sigmoid(class_logits(z)), z.softmax(1))


def test_only_two_classes_still_sum_to_one():
    assert torch.allclose(sharpen_logits(torch.randn(1, 2, 9)).sum(1), torch.ones(1, 9))
    assert not torch.allclose(sharpen_logits(torch.zeros(1, 3, 1)).sum(1), torch.ones(1, 1), atol=0.1)


def test_half_precision_where_the_power_form_would_divide_zero_by_zero():
    z = torch.tensor([[[0.0], [-2.0]]], dtype=torch.float16)  # P = 0.88 and 0.12; 0.12^10 is 6e-10
    assert (z.softmax(1) ** 10)[0, 1] == 0
    s = sharpen_logits(z)
    assert s.dtype == torch.float32
    torch.testing.assert_close(s[0, 1], torch.tensor([-2.0]).div(0.1).sigmoid())
