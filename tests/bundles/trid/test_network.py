"""TriD's network: styles only in training, and weights that fit without them."""

from __future__ import annotations

import pytest
import torch

import common  # noqa: F401 (makes bundles importable)
from common.networks.resnet_unet.network import ResNetUNet
from trid.network import TriDUNet


@pytest.fixture(scope="module")
def image():
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("style", ["trid", "mixstyle", "efdmix", "none"])
def test_eval_mode_equals_the_plain_network_bit_for_bit(style, image):
    torch.manual_seed(0)
    network = TriDUNet(style=style, style_prob=1.0).eval()
    plain = ResNetUNet().eval()
    plain.load_state_dict(network.state_dict())  # strict: styles have no parameters
    with torch.no_grad():
        assert torch.equal(network(image), plain(image))


def test_training_changes_the_styles_after_two_layers(image):
    """At both positions, with separate draws; ``none`` gives the same maps every time."""
    torch.manual_seed(0)
    network = TriDUNet(style_prob=1.0).train()
    with torch.no_grad():
        first, second = network.encode(image), network.encode(image)
    assert torch.equal(first[0], second[0]), "the stem is not touched"
    assert not torch.equal(first[1], second[1])
    plain = TriDUNet(style="none").train()
    with torch.no_grad():
        assert all(torch.equal(a, b) for a, b in zip(plain.encode(image), plain.encode(image), strict=True))


def test_style_layers_can_be_moved(image):
    torch.manual_seed(0)
    network = TriDUNet(style_prob=1.0, style_after=["layer3"]).train()
    with torch.no_grad():
        first, second = network.encode(image), network.encode(image)
    assert torch.equal(first[2], second[2])
    assert not torch.equal(first[3], second[3])


def test_unknown_style():
    with pytest.raises(ValueError, match="cutmix"):
        TriDUNet(style="cutmix")


def test_number_of_parameters():
    """trid/docs/method.md#network, minus the 513,000 of the unused classifier."""
    assert sum(p.numel() for p in TriDUNet().parameters()) == 22_554_570 - 513_000
