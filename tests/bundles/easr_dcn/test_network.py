"""The mixture, the regions and the network: easr_dcn/docs/method.md#how-to-know-it-works."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

import common  # noqa: F401 (makes bundles importable)
from common.registration.warp import warp
from easr_dcn.gaussian_mixture import em_step, fit_mixture, initial_mixture, pooled_histogram
from easr_dcn.network import DivideAndConquerNet
from easr_dcn.regions import label_maps, random_label_maps, region_pairs


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random_pair(*shape, batch=1, seed=0):
    """Two thirds of each image are background."""
    pair = torch.rand(batch, 2, *shape, generator=generator(seed))
    return pair * (torch.rand(pair.shape, generator=generator(seed + 1)) < 1 / 3)


def drawn(means, deviations, shares, number=60_000):
    which = torch.multinomial(torch.tensor(shares), number, replacement=True, generator=generator())
    noise = torch.randn(number, generator=generator(1))
    return torch.tensor(means)[which] + torch.tensor(deviations)[which] * noise


def test_three_gaussians_are_found():
    """Within one percent, whatever their shares (easr_dcn/docs/method.md#how-to-know-it-works)."""
    values = drawn([0.2, 0.5, 0.8], [0.03, 0.05, 0.02], [0.6, 0.3, 0.1]).clamp(0, 1)
    shares = pooled_histogram((values * 255).round().long()[None], 256)
    mixture = fit_mixture(shares, 3, tolerance=1e-6)
    torch.testing.assert_close(mixture.means[0], torch.tensor([0.2, 0.5, 0.8]).double(), rtol=0.01, atol=0.0)
    torch.testing.assert_close(
        mixture.weights[0], torch.tensor([0.6, 0.3, 0.1]).double(), rtol=0.05, atol=0.0
    )


@pytest.mark.parametrize("components", [1, 2, 3, 5])
def test_likelihood_never_falls(components):
    index = (random_pair(20, 20) * 255).round().long().flatten(1)
    shares = pooled_histogram(index, 256)
    mixture, likelihoods = initial_mixture(shares, components), []
    for _ in range(40):
        mixture, likelihood = em_step(mixture, shares)
        likelihoods.append(likelihood)
    rises = torch.stack(likelihoods).diff(dim=0)
    assert rises.min() > -1e-9 - 1e-6  # the floor of the variances costs up to the latter
    if components > 1:
        assert rises[0] > 0.01
    assert mixture.weights.sum().item() == pytest.approx(1)


def test_components_start_apart_although_most_voxels_are_background():
    index = (random_pair(20, 20) * 255).round().long().flatten(1)
    means = initial_mixture(pooled_histogram(index, 256), 3).means[0]
    assert means.diff().min() > 0.2


def test_pairs_of_a_batch_are_split_independently():
    pairs = torch.cat([random_pair(12, 12, 12), 0.3 * random_pair(12, 12, 12, seed=5) ** 2])
    together = label_maps(pairs, 3)
    assert torch.equal(together, torch.cat([label_maps(pair[None], 3) for pair in pairs]))


@pytest.mark.parametrize("regions", [1, 2, 3, 5])
def test_regions_partition_the_images(regions):
    """easr_dcn/docs/method.md#how-to-know-it-works: masks do not overlap, the parts add up to exactly the
    images, in order of brightness."""
    pair = random_pair(10, 11, 12, batch=2)
    labels = label_maps(pair, regions)
    parts = region_pairs(pair, labels, regions).reshape(2, regions, 2, 10, 11, 12)
    assert torch.equal(parts.sum(1), pair)
    assert ((parts != 0).sum(1) <= 1).all()
    means = [pair[labels == region].mean() for region in range(regions)]
    assert all(low < high for low, high in itertools.pairwise(means))


def test_equal_images_have_equal_labels():
    image = random_pair(10, 11, 12)[:, :1]
    labels = label_maps(torch.cat([image, 300 * image + 7], 1), 3)
    assert torch.equal(labels[:, 0], labels[:, 1])


@pytest.mark.parametrize("pair", [torch.zeros(1, 2, 8, 8, 8), torch.full((1, 2, 8, 8, 8), torch.nan)])
def test_constant_images_are_one_region(pair):
    assert len(label_maps(pair, 3).unique()) == 1


@pytest.mark.parametrize(
    ("regions", "parameters"),
    [(1, 977_539), (2, 1_324_147), (3, 1_670_755), (4, 2_017_363), (5, 2_363_971)],
)
def test_parameters(regions, parameters):
    network = DivideAndConquerNet(regions)
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_parts_of_the_parameters():
    network = DivideAndConquerNet(3)
    count = lambda module: sum(p.numel() for p in module.parameters())  # noqa: E731
    assert count(network.encoders) == 293_328
    assert count(network.decoder.stages) == 1_161_728
    assert count(network.decoder.full_size) + count(network.decoder.flow) == 215_699


def test_untrained_network_moves_almost_nothing_and_a_zero_field_nothing():
    """easr_dcn/docs/method.md#how-to-know-it-works."""
    torch.manual_seed(0)
    network, pair = DivideAndConquerNet(), random_pair(18, 20, 13)
    field = network(pair)
    assert field.shape == (1, 3, 18, 20, 13)
    assert 0 < field.abs().max() < 1e-2
    nn.init.zeros_(network.decoder.flow.weight)
    assert torch.equal(warp(pair[:, :1], network(pair)), pair[:, :1])


def test_untrained_features_depend_on_the_images():
    """With PyTorch's default weights the two differ by a few thousandths, and training starts from a
    constant.
    """
    torch.manual_seed(0)
    network, features = DivideAndConquerNet(), []
    network.decoder.full_size.register_forward_hook(lambda *given: features.append(given[-1]))
    for seed in (0, 5):
        network(random_pair(16, 16, 16, seed=seed))
    one, other = features
    assert (one - other).std() > 0.5 * one.std() > 0.05


@pytest.mark.parametrize("normalized", [False, True])
def test_grouped_encoders_are_separate_ones(normalized):
    """easr_dcn/docs/method.md#how-to-know-it-works: one stack of grouped convolutions computes what K
    separate networks do."""
    torch.manual_seed(0)
    network = DivideAndConquerNet(3, normalized=normalized)
    x = torch.randn(2, 6, 16, 16, 16)
    together = network.encoders(x)
    for region in range(3):
        alone = DivideAndConquerNet(1, normalized=normalized).encoders
        state = {key: value.chunk(3)[region] for key, value in network.encoders.state_dict().items()}
        alone.load_state_dict(state)
        for ours, theirs in zip(together, alone(x[:, 2 * region : 2 * region + 2]), strict=True):
            torch.testing.assert_close(ours.chunk(3, 1)[region], theirs, rtol=1e-4, atol=1e-6)


def exchanged(value, size, first):
    """Swap blocks 0 and 1 of ``size`` channels along an axis, which ``first`` selects."""
    parts = list(value.split(size, dim=first))
    parts[0], parts[1] = parts[1], parts[0]
    return torch.cat(parts, first)


def test_regions_may_be_permuted():
    """Swap two encoders' weights and inputs, along with the decoder's inputs from them.

    easr_dcn/docs/method.md#how-to-know-it-works
    """
    torch.manual_seed(0)
    network, other = DivideAndConquerNet(3).double(), DivideAndConquerNet(3).double()
    nn.init.normal_(network.decoder.flow.weight)
    state = dict(network.state_dict())
    for key, value in network.state_dict().items():
        if key.startswith("encoders."):
            state[key] = exchanged(value, len(value) // 3, 0)
    for stage in range(4):
        key = f"decoder.stages.{stage}.0.0.weight"
        state[key] = exchanged(state[key], 32, 1)
    state["decoder.full_size.0.0.weight"] = exchanged(state["decoder.full_size.0.0.weight"], 16, 1)
    other.load_state_dict(state)
    x = torch.randn(1, 6, 16, 16, 16, dtype=torch.float64)
    torch.testing.assert_close(other.field(exchanged(x, 2, 1)), network.field(x))
    assert not torch.allclose(other.field(x), network.field(x))


def test_no_gradient_goes_through_the_split():
    """But gradients do flow through the regions' intensities."""
    pair = random_pair(16, 16, 16).requires_grad_()
    assert not label_maps(pair, 3).requires_grad
    network = DivideAndConquerNet()
    network(pair).sum().backward()
    assert pair.grad.abs().max() > 0
    assert all(p.grad is not None for p in network.parameters())


def test_integrated_field_folds_less():
    torch.manual_seed(0)
    plain, pair = DivideAndConquerNet(), random_pair(16, 16, 16)
    integrated = DivideAndConquerNet(integration_steps=7)
    integrated.load_state_dict(plain.state_dict())
    torch.testing.assert_close(plain(pair), integrated(pair), rtol=0, atol=1e-3)
    for network in (plain, integrated):
        nn.init.zeros_(network.decoder.flow.weight)
        network.decoder.flow.bias.data.copy_(torch.tensor([1.0, 0.0, -2.0]))
    assert torch.allclose(plain(pair), integrated(pair), atol=1e-5)


def test_at_least_one_region():
    with pytest.raises(ValueError, match="regions=0"):
        DivideAndConquerNet(0)


def test_scripted_network_computes_the_same_at_another_size():
    torch.manual_seed(0)
    network = DivideAndConquerNet().eval()
    nn.init.normal_(network.decoder.flow.weight)
    scripted = torch.jit.script(network)
    for shape in ((16, 16, 16), (10, 17, 20)):
        pair = random_pair(*shape)
        torch.testing.assert_close(scripted(pair), network(pair), rtol=1e-5, atol=1e-5)


def test_a_shared_encoder_sees_every_region_with_the_same_weights():
    network, pair = (
        DivideAndConquerNet(shared_encoder=True).double(),
        random_pair(16, 16, 16, batch=2).double(),
    )
    assert sum(p.numel() for p in network.parameters()) == 1_670_755 - 2 * 293_328 // 3
    regions = region_pairs(pair, label_maps(pair, 3), 3)
    maps = network.encoders(regions)
    own = DivideAndConquerNet(3).double()
    state = network.encoders.state_dict()
    own.encoders.load_state_dict({key: torch.cat([value] * 3) for key, value in state.items()})
    for found, expected in zip(maps, own.encoders(regions), strict=True):
        torch.testing.assert_close(found, expected)
    assert torch.jit.script(network.eval())(pair).shape == (2, 3, 16, 16, 16)


def test_random_regions_are_of_equal_size_and_unlike_the_images():
    pair = random_pair(15, 16, 17, batch=2)
    labels = random_label_maps(pair, 3)
    assert labels.shape == pair.shape
    assert labels[0].unique(return_counts=True)[1].tolist() == [2720] * 3
    assert torch.equal(labels[0], labels[1])
    for axis in (1, 2, 3):  # neighbours agree by chance
        same = (labels[0].diff(dim=axis) == 0).double().mean()
        assert same.item() == pytest.approx(1 / 3, abs=0.02)
    network = DivideAndConquerNet(split="random").eval()
    expected = network.field(region_pairs(pair, labels, 3))
    torch.testing.assert_close(network(pair), expected)
    torch.testing.assert_close(torch.jit.script(network)(pair), expected)
    with pytest.raises(ValueError, match='"mixture" or "random"'):
        DivideAndConquerNet(split="halves")
