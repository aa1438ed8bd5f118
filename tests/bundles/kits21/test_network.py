"""The baseline's networks and loss: the card's size, what training returns, values by hand."""

from __future__ import annotations

import math

import pytest
import torch
from monai.losses import DeepSupervisionLoss
from torch import nn

import common  # noqa: F401 (makes bundles importable)
from kits21.losses import RegionLoss, region_targets
from kits21.network import CoarseToFine, RegionUNet


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return CoarseToFine()


def test_size_is_the_cards():
    plain = RegionUNet(1, 4, deep_supervision=False)
    assert sum(p.numel() for p in plain.parameters()) == 31_189_476


def test_parts_are_the_cards(network):
    convolutions = [m for m in network.fine.modules() if isinstance(m, nn.Conv3d)]
    assert sum(m.stride == (2, 2, 2) for m in convolutions) == 5
    transposed = [m for m in network.fine.modules() if isinstance(m, nn.ConvTranspose3d)]
    assert [m.bias for m in transposed] == [None] * 5
    norms = [m for m in network.fine.modules() if isinstance(m, nn.InstanceNorm3d)]
    assert all(m.affine and m.eps == 1e-5 for m in norms)
    assert {m.negative_slope for m in network.fine.modules() if isinstance(m, nn.LeakyReLU)} == {0.01}
    weight = network.fine.unet.bottleneck.conv1.conv.weight
    expected = math.sqrt(2 / (1 + 0.01**2) / weight[0].numel())
    assert float(weight.detach().std()) == pytest.approx(expected, rel=0.02)  # He, for this leaky ReLU


def test_dropout_is_an_argument():
    assert not any(isinstance(m, nn.Dropout3d) for m in RegionUNet().modules())
    assert any(isinstance(m, nn.Dropout3d | nn.Dropout) for m in RegionUNet(dropout=0.2).modules())


def test_heads_only_in_training(network):
    image, mask = torch.randn(1, 1, 64, 32, 32), torch.rand(1, 1, 64, 32, 32) > 0.5
    network.train()
    scales = network(image, mask)
    assert [tuple(one.shape) for one in scales] == [(1, 3, 2 * n, n, n) for n in (32, 16, 8)]
    label = torch.randint(0, 4, (1, 1, 64, 32, 32), dtype=torch.uint8)
    loss = DeepSupervisionLoss(RegionLoss(), weights=[4 / 7, 2 / 7, 1 / 7])(scales, label)
    loss.backward()
    without = [name for name, p in network.fine.named_parameters() if p.grad is None]
    assert not without
    assert all(p.grad is None for p in network.coarse.parameters())
    network.zero_grad(set_to_none=True)
    network.eval()
    with torch.no_grad():
        alone = network(image, mask)
        other = network(image, ~mask)
    assert alone.shape == (1, 3, 64, 32, 32)
    assert not torch.allclose(alone, other), "the coarse mask is looked at"


def test_targets_are_nested():
    label = torch.tensor([0, 1, 2, 3], dtype=torch.uint8).reshape(1, 1, 1, 2, 2)
    targets = region_targets(label)
    assert targets.flatten(2).tolist() == [[[0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 1, 0]]]
    assert torch.equal(region_targets(label, ["tumor"]), targets[:, 2:])
    with pytest.raises(ValueError, match="need some of kidney_and_mass, mass, tumor"):
        region_targets(label, ["cyst"])


def test_loss_by_hand():
    label = torch.tensor([0, 1, 2, 3], dtype=torch.uint8).reshape(1, 1, 1, 2, 2)
    p = torch.tensor([[0.1, 0.9, 0.8, 0.7], [0.2, 0.1, 0.6, 0.9], [0.3, 0.2, 0.7, 0.4]])
    t = torch.tensor([[0.0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 1, 0]])
    dice = 1 - (2 * (p * t).sum(1) + 1e-5) / (p.sum(1) + t.sum(1) + 1e-5)
    entropy = -(t * p.log() + (1 - t) * (1 - p).log()).mean()
    found = RegionLoss()(p.logit().reshape(1, 3, 1, 2, 2), label)
    assert float(found) == pytest.approx(float(dice.mean() + entropy), rel=1e-5)
