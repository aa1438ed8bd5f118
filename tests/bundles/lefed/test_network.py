"""LeFeD's network: lefed/docs/method.md#how-to-know-it-works, sizes, export, MC-Net's weights."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

import common  # noqa: F401 (makes bundles importable)
from common.errors import InputError
from common.networks.vnet.network import VNet, VNetDecoder
from lefed.checkpoint import from_authors
from lefed.feedback import feature_discrepancy, feedback_maps
from lefed.network import LeFeD
from tests.vectors import load

SIZE = (32, 16, 16)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return LeFeD().eval()


@pytest.fixture(scope="module")
def image():
    return torch.randn(2, 1, *SIZE, generator=torch.Generator().manual_seed(1))


def both(network, x, feedback=None):
    with torch.no_grad():
        return network.both(network.encoder(x, feedback))


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_parameters(network):
    assert count(network.encoder) == 7_376_896
    assert count(network.decoder_a) == 2_071_970
    assert count(network.decoder_b) == 2_898_850
    assert count(network.side_heads) == 1_002
    assert count(network) == 12_348_718


def test_passes_differ_slightly_and_not_at_all_with_scale_zero(network, image):
    first = both(network, image)
    same = both(network, image, feedback_maps(first.features_a, first.features_b, scale=0))
    assert torch.equal(first.logits_a, same.logits_a)
    assert torch.equal(first.logits_b, same.logits_b)
    second = both(network, image, feedback_maps(first.features_a, first.features_b))
    for one, other in ((first.logits_a, second.logits_a), (first.logits_b, second.logits_b)):
        change = (one - other).norm() / one.norm()
        assert 0 < change < 0.1


def test_deepest_discrepancy_is_the_bottleneck_times_its_sigmoid(network, image):
    output = both(network, image)
    x5 = network.encoder(image)[-1].detach()
    assert torch.equal(output.features_a[0], x5)
    torch.testing.assert_close(output.features_b[0] - x5, x5 * x5.sigmoid())
    maps = feedback_maps(output.features_a, output.features_b, scale=1.0)
    assert maps[0].min() >= 0
    assert maps[1].min() < 0


def test_bottleneck_feedback_can_be_left_out(network, image):
    output = both(network, image)
    whole = feedback_maps(output.features_a, output.features_b)
    without = feedback_maps(output.features_a, output.features_b, deepest=False)
    assert whole[0].abs().sum() > 0
    assert without[0].abs().sum() == 0
    assert all(torch.equal(a, b) for a, b in zip(whole[1:], without[1:], strict=True))


def test_decoders_do_not_teach_each_other(network, image):
    output = network.both(network.encoder(image))
    for logits, other in ((output.logits_b, network.decoder_a), (output.logits_a, network.decoder_b)):
        weighted = (logits * torch.randn_like(logits)).sum()
        weights = list(other.parameters())
        gradients = torch.autograd.grad(weighted, weights, retain_graph=True, allow_unused=True)
        assert all(g is None or not g.any() for g in gradients)
    own = torch.autograd.grad(output.logits_b.square().sum(), list(network.decoder_b.parameters()))
    assert all(g.any() for g in own if g.ndim > 1)


def test_feedback_is_a_constant(network, image):
    output = network.both(network.encoder(image))
    assert output.features_a[0].requires_grad
    assert not any(m.requires_grad for m in feedback_maps(output.features_a, output.features_b))
    assert not feature_discrepancy(output.features_a, output.features_b).requires_grad


def test_side_logits(network):
    x = torch.randn(1, 1, 48, 32, 16)
    output = both(network, x)
    assert [tuple(s.shape) for s in output.side_logits] == [(1, 2, 48, 32, 16)] * 5
    head = network.side_heads.heads[4]
    with torch.no_grad():
        s1 = functional.conv3d(output.features_a[4], head.weight, head.bias)
        deep = network.side_heads.heads[0](output.features_a[0])
        for _ in range(4):
            deep = functional.interpolate(deep, scale_factor=2.0, mode="trilinear", align_corners=True)
    torch.testing.assert_close(output.side_logits[4], s1)
    torch.testing.assert_close(output.side_logits[0], deep)


@pytest.mark.parametrize(("guide", "factor"), [(torch.inf, 1.0), (-torch.inf, 0.0)])
def test_gates_at_their_ends(network, image, guide, factor):
    """Guide +inf: raw skips and a doubled bottleneck; -inf: no skips and the raw bottleneck."""
    decoder: VNetDecoder = network.decoder_b
    with torch.no_grad():
        maps = network.encoder(image)
        features = both(network, image).features_a
        logits, gated = decoder.with_features(maps, [torch.full_like(f, guide).sigmoid() for f in features])
        plain = [factor * m for m in maps[:-1]] + [(1 + factor) * maps[-1]]
        expected, features = decoder.with_features(plain)
    torch.testing.assert_close(logits, expected)
    torch.testing.assert_close(gated[0], (1 + factor) * maps[-1])
    torch.testing.assert_close(gated[4], features[4])


def test_prediction_is_a_plain_vnet(network, image):
    """The same parameters, operations and result: decoder B and the side heads do not run."""
    vnet = VNet().eval()
    vnet.encoder.load_state_dict(network.encoder.state_dict())
    vnet.decoder.load_state_dict(network.decoder_a.state_dict())
    ran = []
    hooks = [
        module.register_forward_hook(lambda *_, name=name: ran.append(name))
        for name, module in network.named_modules()
        if name.startswith(("decoder_b", "side_heads"))
    ]
    with torch.no_grad():
        assert torch.equal(network(image), vnet(image))
    for hook in hooks:
        hook.remove()
    assert ran == []


def test_script_computes_the_same_in_both_modes(network, image):
    scripted = torch.jit.script(network)
    with torch.no_grad():
        torch.testing.assert_close(scripted(image), network(image))
        feedback = feedback_maps(*both(network, image)[3:])
        torch.testing.assert_close(scripted(image, feedback), network(image, feedback))
    quiet = LeFeD(dropout=0.0, head_dropout=0.0).train()
    quiet.load_state_dict(network.state_dict())
    output, again = quiet(image), torch.jit.script(quiet)(image)
    torch.testing.assert_close(again.logits_b, output.logits_b)
    torch.testing.assert_close(again.side_logits, output.side_logits)


def test_weights_of_two_decoder_mcnet_fit_except_the_side_heads():
    published = {k: v for k, v in load("mcnet_plus_3d").state.items() if not k.startswith("decoder3.")}
    state = from_authors(published)
    network = LeFeD()
    told = network.load_state_dict(state, strict=False)
    assert told.unexpected_keys == []
    assert {k for k in told.missing_keys if not k.endswith("num_batches_tracked")} == {
        f"side_heads.heads.{i}.{leaf}" for i in range(5) for leaf in ("weight", "bias")
    }
    assert torch.equal(network.decoder_b.head.weight, published["decoder2.out_conv.weight"])


def test_authors_keys_with_module_prefix_and_twice():
    state = load("lefed").state
    prefixed = {f"module.{key}": value for key, value in state.items()}
    assert from_authors(prefixed).keys() == from_authors(state).keys()
    with pytest.raises(InputError, match="both become"):
        from_authors(state | prefixed)


def test_invalid_sizes_are_refused(network):
    with pytest.raises(ValueError, match="multiples of 16"):
        network(torch.zeros(1, 1, 32, 32, 24))
