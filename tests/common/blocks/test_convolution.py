"""Convolution blocks: invariances, order of operations, sizes."""

from __future__ import annotations

import pytest
import torch

from common.blocks.convolution import ConvNormAct, ResidualBlock, WeightStandardizedConv3d


@pytest.mark.parametrize("change", [lambda w: w + 3, lambda w: 7 * w])
def test_standardised_filters_ignore_offset_and_scale(change):
    """A filter is centred and scaled before use (Qiao et al., 2019)."""
    torch.manual_seed(0)
    conv = WeightStandardizedConv3d(3, 5, 3, padding=1).double()
    x = torch.randn(2, 3, 4, 5, 6, dtype=torch.float64)
    before = conv(x)
    with torch.no_grad():
        conv.weight.copy_(change(conv.weight))
    torch.testing.assert_close(conv(x), before, rtol=1e-9, atol=1e-9)


def test_standardised_filters_have_unit_deviation():
    conv = WeightStandardizedConv3d(3, 5, 3, bias=False)
    ones = torch.zeros(1, 3, 3, 3, 3)
    recovered = torch.stack([conv(torch.eye(81)[i].view_as(ones)).flatten() for i in range(81)], dim=1)
    torch.testing.assert_close(recovered.std(dim=1), torch.ones(5), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(recovered.mean(dim=1), torch.zeros(5), rtol=0, atol=1e-5)


def test_weight_standardisation_is_a_switch():
    plain, standardised = (ConvNormAct(2, 4, weight_standardization=on) for on in (False, True))
    assert type(plain.conv) is torch.nn.Conv3d
    assert type(standardised.conv) is WeightStandardizedConv3d


def test_activation_after_the_sum_or_on_the_branch():
    torch.manual_seed(0)
    relu = ("relu", {"inplace": False})
    x = torch.randn(1, 4, 3, 4, 5)
    after = ResidualBlock(4, 4, convs=2, activate="sum", act=relu)
    on_branch = ResidualBlock(4, 4, convs=2, activate="branch", act=relu)
    assert after(x).min() >= 0
    assert (on_branch(x) - x).min() >= 0
    assert on_branch(x).min() < 0
    assert not hasattr(after.branch[-1], "act")
    assert hasattr(on_branch.branch[-1], "act")


@pytest.mark.parametrize(
    ("stride", "out", "size", "projects"),
    [
        (1, 4, (5, 6, 7), False),
        (1, 8, (5, 6, 7), True),
        (2, 4, (3, 3, 4), True),
        ((1, 2, 2), 4, (5, 3, 4), True),
    ],
)
def test_shortcut_projects_only_where_the_shape_changes(stride, out, size, projects):
    block = ResidualBlock(4, out, stride=stride)
    assert block(torch.randn(1, 4, 5, 6, 7)).shape == (1, out, *size)
    assert isinstance(block.shortcut, ConvNormAct) == projects


def test_unknown_activation_position():
    with pytest.raises(ValueError, match="'before'"):
        ResidualBlock(4, 4, activate="before")
