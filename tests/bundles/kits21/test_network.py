"""The baseline's networks and loss: kits21/docs/method.md#plain-u-net, what training returns, values by
hand."""

from __future__ import annotations

import math

import pytest
import torch
from monai.losses import DeepSupervisionLoss
from torch import nn

import common  # noqa: F401 (makes bundles importable)
from kits21.losses import RegionHits, RegionLoss, TwoStageLoss, region_targets
from kits21.network import CoarseToFine, RegionUNet
from kits21.regions import NESTING, REGIONS, nesting, region_names


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return CoarseToFine()


@pytest.fixture(scope="module")
def narrow():
    """For tests that do not depend on the width."""
    torch.manual_seed(0)
    return CoarseToFine(filters=(4, 8, 8, 16, 16, 16))


def test_size_matches_the_card():
    plain = RegionUNet(1, 4, deep_supervision=False)
    assert sum(p.numel() for p in plain.parameters()) == 31_189_476


def test_parts_match_the_card(network):
    convolutions = [m for m in network.fine.modules() if isinstance(m, nn.Conv3d)]
    assert sum(m.stride == (2, 2, 2) for m in convolutions) == 5
    transposed = [m for m in network.fine.modules() if isinstance(m, nn.ConvTranspose3d)]
    assert [m.bias for m in transposed] == [None] * 5
    norms = [m for m in network.fine.modules() if isinstance(m, nn.InstanceNorm3d)]
    assert all(m.affine and m.eps == 1e-5 for m in norms)
    assert {m.negative_slope for m in network.fine.modules() if isinstance(m, nn.LeakyReLU)} == {0.01}
    weight = network.fine.encoder.stages[-1][0].conv.weight
    expected = math.sqrt(2 / (1 + 0.01**2) / weight[0].numel())
    assert float(weight.detach().std()) == pytest.approx(expected, rel=0.02)  # He, for this leaky ReLU


def test_dropout_is_an_argument():
    assert not any(isinstance(m, nn.Dropout3d) for m in RegionUNet().modules())
    assert any(isinstance(m, nn.Dropout3d | nn.Dropout) for m in RegionUNet(dropout=0.2).modules())


def test_width_is_an_argument(network):
    narrow = CoarseToFine(filters=(4, 8, 8, 16, 16, 16))
    assert narrow.state_dict().keys() == network.state_dict().keys()
    assert sum(p.numel() for p in narrow.parameters()) < 1e6
    with pytest.raises(ValueError, match="expected 6 numbers"):
        CoarseToFine(filters=(4, 8))


def test_heads_only_in_training(narrow):
    image, mask = torch.randn(1, 1, 64, 32, 32), torch.rand(1, 1, 64, 32, 32) > 0.5
    narrow.train()
    scales = narrow(image, mask)
    assert [tuple(one.shape) for one in scales] == [(1, 3, 2 * n, n, n) for n in (32, 16, 8)]
    label = torch.randint(0, 4, (1, 1, 64, 32, 32), dtype=torch.uint8)
    loss = DeepSupervisionLoss(RegionLoss(), weights=[4 / 7, 2 / 7, 1 / 7])(scales, label)
    loss.backward()
    without = [name for name, p in narrow.fine.named_parameters() if p.grad is None]
    assert not without
    assert all(p.grad is None for p in narrow.coarse.parameters())
    narrow.zero_grad(set_to_none=True)
    narrow.eval()
    with torch.no_grad():
        alone = narrow(image, mask)
        other = narrow(image, ~mask)
    assert alone.shape == (1, 3, 64, 32, 32)
    assert not torch.allclose(alone, other), "the coarse mask is looked at"


def test_targets_are_nested():
    label = torch.tensor([0, 1, 2, 3], dtype=torch.uint8).reshape(1, 1, 1, 2, 2)
    targets = region_targets(label)
    assert targets.flatten(2).tolist() == [[[0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 1, 0]]]
    assert torch.equal(region_targets(label, [2]), targets[:, 2:])
    assert region_targets(label, [1, 2]).flatten(2).tolist() == [[[0, 1, 1, 0], [0, 0, 1, 0]]]


def test_loss_by_hand():
    label = torch.tensor([0, 1, 2, 3], dtype=torch.uint8).reshape(1, 1, 1, 2, 2)
    p = torch.tensor([[0.1, 0.9, 0.8, 0.7], [0.2, 0.1, 0.6, 0.9], [0.3, 0.2, 0.7, 0.4]])
    t = torch.tensor([[0.0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 1, 0]])
    dice = 1 - (2 * (p * t).sum(1) + 1e-5) / (p.sum(1) + t.sum(1) + 1e-5)
    entropy = -(t * p.log() + (1 - t) * (1 - p).log()).mean()
    found = RegionLoss()(p.logit().reshape(1, 3, 1, 2, 2), label)
    assert float(found) == pytest.approx(float(dice.mean() + entropy), rel=1e-5)


def test_dice_without_smoothing():
    """As nnU-Net's trainer of regions has it: an absent region costs a whole Dice."""
    label = torch.tensor([0, 1, 1, 0], dtype=torch.uint8).reshape(1, 1, 1, 2, 2)
    logits = torch.tensor([[-9.0, 9, 9, -9], [-9.0] * 4, [-9.0] * 4]).reshape(1, 3, 1, 2, 2)
    entropy = RegionLoss(smooth=0.0).cross_entropy(logits, region_targets(label))
    assert float(RegionLoss(smooth=0.0)(logits, label) - entropy) == pytest.approx(2 / 3, abs=1e-3)
    near = torch.tensor(-30.0).expand(1, 3, 1, 2, 2)
    assert float(RegionLoss(smooth=1e-5)(near, torch.zeros_like(label))) == pytest.approx(0, abs=1e-3)
    assert torch.isfinite(RegionLoss(smooth=0.0)(near - 200, torch.zeros_like(label)))


def test_hits_of_both_variants():
    label = torch.tensor([0, 1, 2, 3], dtype=torch.uint8).reshape(1, 1, 1, 2, 2)
    regions = torch.tensor([[9.0, 9, -9, 9], [9.0, 9, -9, -9], [-9.0] * 4]).reshape(1, 3, 1, 2, 2)
    output = {"pred": {"fine": [regions], "coarse": []}, "label": {"fine": label}}
    assert RegionHits()(output) == 2  # kidney and mass at labels 1 and 3; mass and tumor nowhere
    assert RegionHits()({**output, "pred": regions.neg().clamp(max=-1)}) == 0
    classes = torch.nn.functional.one_hot(torch.tensor([0, 1, 2, 0]), 4).T.reshape(1, 4, 1, 2, 2).float()
    assert RegionHits(softmax=True)({**output, "pred": {"fine": [classes]}}) == 2


def test_both_stages_in_one_call(narrow):
    """Given the image alone, the coarse stage sees it at half its resolution."""
    image = torch.randn(1, 1, 128, 64, 64, generator=torch.Generator().manual_seed(2))
    narrow.eval()
    with torch.no_grad():
        alone = narrow(image)
        small = torch.nn.functional.avg_pool3d(image, 2)
        mask = (narrow.coarse(small) > 0).repeat_interleave(2, 2).repeat_interleave(2, 3)
        assert 0 < mask.float().mean() < 1
        assert torch.allclose(alone, narrow(image, mask.repeat_interleave(2, 4)), atol=1e-6)


def test_order_of_nesting():
    assert nesting(4) == NESTING == (1, 3, 2)
    assert [r.labels for r in REGIONS] == [tuple(sorted(NESTING[i:])) for i in range(3)]
    assert region_names(NESTING, {}) == {1: "kidney_and_mass", 2: "mass", 3: "tumor"}
    assert region_names(nesting(3), {1: "kidney", 2: "tumor"}) == {1: "kidney+tumor", 2: "tumor"}


def test_loss_of_classes_by_hand():
    """The softmax variant, on a single-stage network."""
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0], [0.0, 3.0], [1.0, 0.0]]).reshape(1, 4, 1, 1, 2)
    label = torch.tensor([0, 2], dtype=torch.uint8).reshape(1, 1, 1, 1, 2)
    p = logits.softmax(dim=1)[0, :, 0, 0]
    truth = torch.tensor([[1.0, 0], [0, 0], [0, 1], [0, 0]])
    dice = 1 - (2 * (p * truth).sum(1) + 1e-5) / (p.sum(1) + truth.sum(1) + 1e-5)
    expected = dice[1:].mean() - (truth * p.log()).sum(0).mean()
    found = TwoStageLoss(softmax=True)(logits, {"fine": label})
    assert float(found) == pytest.approx(float(expected), rel=1e-5)
