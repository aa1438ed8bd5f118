"""PraNet and its Res2Net encoder: sizes, training output, export."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional

from common.networks.pranet.network import PraNet, ReverseAttention
from common.networks.res2net.network import WIDTHS, Res2Net, Res2NetBlock


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def norms(module: nn.Module) -> int:
    return sum(isinstance(m, nn.BatchNorm2d) for m in module.modules())


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return PraNet().eval()


@pytest.fixture(scope="module")
def image():
    return torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))


def test_exact_parameter_count(network):
    """vptta/docs/method.md#segmentation-net-2; published with the unused classifier."""
    assert count(network) == 32_547_319 - 2_049_000
    assert norms(network.encoder) == 87
    assert norms(network) - norms(network.encoder) == 66


def test_maps_of_the_encoder(network, image):
    with torch.no_grad():
        maps = network.encoder(image)
    assert [tuple(m.shape[1:]) for m in maps] == [
        (WIDTHS[0], 16, 24),
        (WIDTHS[1], 8, 12),
        (WIDTHS[2], 4, 6),
        (WIDTHS[3], 2, 3),
    ]


def test_scales_depend_on_earlier_ones_except_in_the_first_block_of_a_layer():
    """A change of the first part reaches the next ones only where the parts are added."""
    torch.manual_seed(0)
    for first, reached in ((False, [True, True, True, False]), (True, [True, False, False, False])):
        block = Res2NetBlock(256, 64, first=first).eval()
        block.conv1, block.bn1 = nn.Identity(), nn.Identity()
        block.conv3, block.bn3, block.downsample = nn.Identity(), nn.Identity(), nn.Identity()
        x = torch.rand(1, 104, 6, 6)
        changed = x.clone()
        changed[:, :26] += 1
        with torch.no_grad():
            difference = (block(changed) - changed) - (block(x) - x)
        assert [bool(part.abs().max() > 1e-4) for part in difference.split(26, dim=1)] == reached


def test_training_gives_four_maps_and_evaluation_the_finest(network, image):
    with torch.no_grad():
        finest = network(image)
        stages = network.encoder(image)
        network.train()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        maps = network(image)
        network.eval()
        coarse = network.decoder(*(network.fields[i](stages[i + 1]) for i in (2, 1, 0)))
    assert [m.shape for m in maps] == [(2, 1, 64, 96)] * 4
    torch.testing.assert_close(maps[3], finest)
    expected = functional.interpolate(coarse, scale_factor=8, mode="bilinear", align_corners=False)
    torch.testing.assert_close(maps[0], expected)
    assert all(not torch.allclose(a, b) for a, b in pairwise(maps))


def test_reverse_attention_leaves_confident_pixels_alone():
    torch.manual_seed(0)
    attention = ReverseAttention(8, 4, kernel_size=3, convs=2, last_kernel_size=3).eval()
    x, found = torch.randn(1, 8, 6, 6), torch.full((1, 1, 6, 6), 50.0)
    sure = attention(x, found)
    torch.testing.assert_close(sure, attention(torch.randn(1, 8, 6, 6), found))
    assert not torch.allclose(attention(x, -found), attention(torch.randn(1, 8, 6, 6), -found))


def test_gradients_reach_every_parameter(image):
    torch.manual_seed(0)
    network = PraNet().train()
    sum(m.square().mean() for m in network(image)).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_scripted(network, image):
    with torch.no_grad():
        torch.testing.assert_close(torch.jit.script(network)(image), network(image))


def test_wrong_arguments(network):
    with pytest.raises(ValueError, match=r"\[64, 80\].*multiples of 32"):
        network(torch.zeros(1, 3, 64, 80))
    with pytest.raises(ValueError, match="out_channels=2"):
        PraNet(out_channels=2)


def test_other_image_channels():
    assert Res2Net(1).conv1[0].weight.shape == (32, 1, 3, 3)
