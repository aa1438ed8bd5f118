"""Random feature styles: TriD, MixStyle, EFDMix (trid/docs/method.md#how-to-know-it-works)."""

from __future__ import annotations

import pytest
import torch

from common.blocks.feature_statistics import (
    EFDMix,
    MixStyle,
    TriD,
    exchange_sorted_values,
    exchange_statistics,
    mean_and_deviation,
    mix_statistics,
)
from common.networks.resnet_unet.network import ResNetUNet

LAYERS = [TriD, MixStyle, EFDMix]


@pytest.fixture
def x():
    generator = torch.Generator().manual_seed(0)
    scale = 0.5 + torch.rand(4, 6, 1, 1, generator=generator)
    return 2 + scale * torch.randn(4, 6, 7, 9, generator=generator)


@pytest.mark.parametrize("layer", LAYERS)
def test_eval_mode_changes_nothing(layer, x):
    """Property 1."""
    assert layer(prob=1.0).eval()(x) is x


@pytest.mark.parametrize("layer", LAYERS)
def test_training_changes_maps_with_the_given_probability(layer, x):
    torch.manual_seed(0)
    assert all(layer(prob=0.0)(x) is x for _ in range(20))
    assert not any(layer(prob=1.0)(x) is x for _ in range(20))
    half = sum(layer(prob=0.5)(x) is x for _ in range(200))
    assert 70 < half < 130


@pytest.mark.parametrize("layer", LAYERS)
def test_one_seed_gives_one_result(layer, x):
    torch.manual_seed(3)
    first = layer(prob=1.0)(x)
    torch.manual_seed(3)
    assert torch.equal(layer(prob=1.0)(x), first)
    assert not torch.equal(layer(prob=1.0)(x), first)


def test_no_channel_chosen_is_the_identity(x):
    """Property 2."""
    new = torch.rand(2, 4, 6, 1, 1)
    torch.testing.assert_close(exchange_statistics(x, *new, torch.zeros(4, 6, 1, 1)), x, rtol=0, atol=1e-5)


def test_chosen_channels_have_the_drawn_statistics(x):
    """Property 2."""
    mean, deviation = torch.rand(2, 4, 6, 1, 1)
    y = exchange_statistics(x, mean, deviation, torch.ones(4, 6, 1, 1))
    torch.testing.assert_close(y.mean((2, 3), keepdim=True), mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(y.std((2, 3), keepdim=True), deviation, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("constant", [False, True])
def test_gradient_is_the_scale_of_each_channel(x, constant):
    """Property 3: no gradient flows through mean and standard deviation; a constant channel stays finite."""
    if constant:
        x = torch.full_like(x, 3.0)
    x.requires_grad_()
    mean, deviation = torch.rand(2, 4, 6, 1, 1)
    chosen = (torch.arange(24).view(4, 6, 1, 1) % 3 == 0).float()
    y = exchange_statistics(x, mean, deviation, chosen)
    weight = torch.randn_like(x)
    (gradient,) = torch.autograd.grad((y * weight).sum(), x)
    _, own = mean_and_deviation(x)
    scale = chosen * deviation / own + (1 - chosen)
    torch.testing.assert_close(gradient, weight * scale, rtol=1e-5, atol=1e-5)
    assert y.isfinite().all()


def test_about_half_of_the_channels_of_a_sample_keep_their_statistics():
    """Property 4: channels are chosen, not whole samples."""
    torch.manual_seed(0)
    many = torch.zeros(64, 512, 1, 1)
    means, deviations, chosen = TriD().draw(many)
    assert set(chosen.unique().tolist()) == {0.0, 1.0}
    assert chosen.mean().item() == pytest.approx(0.5, abs=0.01)
    in_sample = chosen.mean((1, 2, 3))
    assert in_sample.min() > 0.4
    assert in_sample.max() < 0.6
    for drawn in (means, deviations):
        assert drawn.mean().item() == pytest.approx(0.5, abs=0.01)
        assert drawn.var().item() == pytest.approx(1 / 12, abs=0.002)
    assert not torch.equal(means, deviations)


@pytest.mark.parametrize("mix", [mix_statistics, exchange_sorted_values])
def test_mixing_with_itself_or_not_at_all_is_the_identity(mix, x):
    share = torch.rand(4, 1, 1, 1)
    torch.testing.assert_close(mix(x, torch.arange(4), share), x, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(mix(x, torch.randperm(4), torch.ones(4, 1, 1, 1)), x, rtol=1e-5, atol=1e-5)


def test_full_mixing_takes_the_partners_style(x):
    partner, none = torch.tensor([1, 0, 3, 2]), torch.zeros(4, 1, 1, 1)
    mixed = mix_statistics(x, partner, none)
    torch.testing.assert_close(mixed.mean((2, 3)), x[partner].mean((2, 3)), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(mixed.std((2, 3)), x[partner].std((2, 3)), rtol=1e-4, atol=1e-4)
    exchanged = exchange_sorted_values(x, partner, none).flatten(2)
    torch.testing.assert_close(exchanged.sort(2).values, x[partner].flatten(2).sort(2).values)
    assert torch.equal(exchanged.argsort(2), x.flatten(2).argsort(2))


def test_efdmix_passes_the_gradient_unchanged(x):
    x.requires_grad_()
    weight = torch.randn_like(x)
    y = exchange_sorted_values(x, torch.tensor([1, 0, 3, 2]), torch.rand(4, 1, 1, 1))
    (gradient,) = torch.autograd.grad((y * weight).sum(), x)
    torch.testing.assert_close(gradient, weight)


@pytest.mark.parametrize("layer", LAYERS)
def test_weights_fit_a_network_without_it_and_it_can_be_scripted(layer):
    """Property 6."""
    torch.manual_seed(0)
    styled, plain = ResNetUNet(style=layer(prob=1.0)), ResNetUNet()
    plain.load_state_dict(styled.state_dict())
    image = torch.rand(2, 3, 32, 64)
    assert not torch.equal(styled(image), styled(image))  # batch norm alone would give the same twice
    plain.load_state_dict(styled.state_dict())
    styled.eval(), plain.eval()
    with torch.no_grad():
        assert torch.equal(styled(image), plain(image))
        torch.testing.assert_close(torch.jit.script(styled)(image), plain(image))


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"TriD: prob=1.5"):
        TriD(prob=1.5)
    with pytest.raises(ValueError, match=r"MixStyle: concentration=0"):
        MixStyle(concentration=0)
