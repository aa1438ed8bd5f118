"""The ResNet U-Net: sizes, its variants against the authors' numbers, positions of styles, export."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from common.networks.resnet_unet.checkpoint import from_authors_resnet_unet
from common.networks.resnet_unet.network import ResNetUNet, UpBlock
from tests.vectors import load


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.fixture(scope="module")
def image():
    return torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))


def network(**options) -> ResNetUNet:
    torch.manual_seed(0)
    return ResNetUNet(**options)


def test_exact_parameter_count():
    """trid/docs/method.md#network and vptta/docs/method.md#segmentation-net-1; published with the unused
    classifier."""
    assert count(network()) == 22_554_570 - 513_000
    assert count(network(out_channels=1)) == 22_554_537 - 513_000
    assert count(network(tail_channels=None)) == 22_010_690
    assert count(network(depth=50)) == 27_272_394 - 2_049_000
    norms = [m for m in network().modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 41
    assert sum(count(m) for m in norms) == 19_136


def test_initial_weights_of_the_encoder():
    """vptta/docs/method.md#segmentation-net-1: sqrt(2 / (k k out)), norms 1 and 0."""
    convolution = network().encoder.layer3[1].conv2.weight
    assert convolution.std().item() == pytest.approx((2 / (9 * 256)) ** 0.5, rel=0.01)
    norm = network().encoder.layer3[1].bn2
    assert (norm.weight == 1).all()
    assert (norm.bias == 0).all()


def test_maps(image):
    one = network().eval()
    with torch.no_grad():
        maps = one.encode(image)
        feature = one.decode(maps)
    assert [tuple(m.shape[1:]) for m in maps] == [
        (64, 32, 48),
        (64, 16, 24),
        (128, 8, 12),
        (256, 4, 6),
        (512, 2, 3),
    ]
    assert feature.shape == (1, 256, 32, 48)
    assert one.head(feature).shape == (1, 2, 64, 96)


def test_block_activates_before_its_norm():
    torch.manual_seed(0)
    block = UpBlock(8, 4, 6).eval()
    block.norm.bias.data.fill_(-1.0)  # a norm before the ReLU would leave no negative value
    deep, skip = torch.randn(2, 8, 3, 5), torch.randn(2, 4, 6, 10)
    joined = torch.cat([block.deep(deep), block.skip(skip)], dim=1)
    torch.testing.assert_close(block(deep, skip), block.norm(joined.relu()))
    assert block(deep, skip).min() < 0


def test_network_without_tail_is_prosfda():
    vector = load("prosfda_unet")
    one = network(tail_channels=None).eval()
    state = from_authors_resnet_unet(vector.state)
    one.load_state_dict(state, strict=False)
    assert set(state) == {k for k in one.state_dict() if not k.endswith("num_batches_tracked")}
    with torch.no_grad():
        feature = one.decode(one.encode(vector.inputs["image"]))
        vector.compare({"logits": one.head(feature), "decoder_feature": feature[:, :16, ::2, ::2]})


def test_network_split_at_the_first_convolution_is_ccsdg():
    vector = load("ccsdg_net")
    one = network(tail_channels=None).eval()
    state = from_authors_resnet_unet(vector.state)
    prompt = state.pop("channel_prompt")
    one.load_state_dict(state, strict=False)
    assert set(state) == {k for k in one.state_dict() if not k.endswith("num_batches_tracked")}
    share = (1.6 * prompt / 0.1).softmax(0)
    with torch.no_grad():
        first = one.encoder.conv1(vector.inputs["image"])
        structure, style = share[0] * first, share[1] * first
        logits = one.head(one.decode(one.encode_after_first_convolution(structure)))
    vector.compare({"logits": logits, "structure": structure[..., ::4, ::4], "style": style[..., ::4, ::4]})


class Negative(nn.Module):
    """In training, negates its input; counts its calls."""

    calls = 0

    def forward(self, x):
        self.calls += 1
        return -x if self.training else x


def test_a_style_changes_skips_and_deeper_maps_only_at_its_positions(image):
    plain, styled = network(), network(style=Negative(), style_after=("layer1", "layer3"))
    assert styled.state_dict().keys() == plain.state_dict().keys()
    plain.eval()
    styled.eval()
    with torch.no_grad():
        torch.testing.assert_close(styled(image), plain(image), rtol=0, atol=0)
        styled.style.calls = 0
        styled.style.train()
        before, after = plain.encode(image), styled.encode(image)
    assert styled.style.calls == 2
    assert torch.equal(after[0], before[0])
    assert torch.equal(after[1], -before[1])
    assert not torch.allclose(after[2], before[2])
    assert after[3].max() <= 0
    assert after[4].min() >= 0


def test_a_style_after_the_deepest_layer_is_followed_by_a_relu(image):
    styled = network(style=Negative(), style_after=["layer4"]).eval()
    styled.style.train()
    with torch.no_grad():
        maps = styled.encode(image)
        assert maps[4].max() <= 0
        silent = [*maps[:4], torch.zeros_like(maps[4])]
        torch.testing.assert_close(styled.decode(maps), styled.decode(silent))


def test_dropout_drops_whole_channels_only_in_training(image):
    one = network(dropout=0.5).eval()
    with torch.no_grad():
        torch.testing.assert_close(one(image), one(image), rtol=0, atol=0)
        one.dropout.train()
        dropped = (one.dropout(torch.ones(1, 512, 2, 3)).flatten(2) == 0).all(2)
    assert 0.4 < dropped.float().mean() < 0.6


@pytest.mark.parametrize("options", [{}, {"tail_channels": None, "dropout": 0.2}])
def test_scripted(options, image):
    one = network(**options).eval()
    with torch.no_grad():
        torch.testing.assert_close(torch.jit.script(one)(image), one(image))


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"\[64, 80\].*multiples of 32"):
        network()(torch.zeros(1, 3, 64, 80))
    with pytest.raises(ValueError, match=r"depth=18.*34, 50"):
        ResNetUNet(depth=18)
    with pytest.raises(ValueError, match=r"'layer5'.*layer0"):
        ResNetUNet(style=Negative(), style_after=["layer5"])
    with pytest.raises(ValueError, match="has parameters"):
        ResNetUNet(style=nn.BatchNorm2d(64))


def test_keys_of_data_parallel_and_the_classifier_are_dropped():
    state = {"module.res.fc.weight": torch.zeros(2), "module.up1.bn.bias": torch.ones(2)}
    assert list(from_authors_resnet_unet(state)) == ["blocks.0.norm.bias"]
