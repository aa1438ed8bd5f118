"""CoTr's sizes, parameters and initialisation (cotr/docs/method.md#network)."""

from __future__ import annotations

import math

import pytest
import torch

import common  # noqa: F401 (makes bundles importable)
from benchmarks.speed.memory import peak_bytes
from cotr.labels import label_map
from cotr.network import CoTr


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.fixture(scope="module")
def network() -> CoTr:
    torch.manual_seed(0)
    return CoTr()


def test_exact_parameter_count(network):
    assert count(network) == 41_872_504
    with torch.device("meta"):
        assert count(CoTr(out_channels=12)) == 41_871_088
    assert count(network.encoder) == 20_500_800
    assert count(network.transformer) == 9_316_992


def test_shapes_of_all_scales(network):
    maps = network.train()(torch.randn(1, 1, 16, 32, 48))
    assert [tuple(m.shape) for m in maps] == [
        (1, 14, 16, 32, 48),
        (1, 14, 16, 16, 24),
        (1, 14, 8, 8, 12),
        (1, 14, 4, 4, 6),
    ]


def test_one_tensor_in_eval_mode(network):
    with torch.no_grad():
        output = network.eval()(torch.randn(2, 1, 16, 32, 32))
    assert isinstance(output, torch.Tensor)
    assert output.shape == (2, 14, 16, 32, 32)


def test_initialisation(network):
    """Kaiming fan-out; a transposed convolution's fan is C_in * 8; level vectors N(0, 1)."""
    conv, up = network.encoder.layer2[1].branch[0].conv.weight, network.decoder.up1.up.weight
    assert math.isclose(float(conv.std()), math.sqrt(2 / (384 * 27)), rel_tol=0.02)
    assert math.isclose(float(up.std()), math.sqrt(2 / (8 * 384)), rel_tol=0.02)
    assert math.isclose(float(network.transformer.level_embedding.std()), 1, rel_tol=0.1)
    attention = network.transformer.layers[3].attention
    assert not attention.sampling_offsets.weight.any()
    assert not attention.attention_weights.weight.any()
    assert network.encoder.stem.norm.weight.eq(1).all()


def test_reset_gives_other_weights(network):
    before = {k: v.clone() for k, v in network.state_dict().items()}
    torch.manual_seed(1)
    network.reset_parameters()
    changed = [k for k, v in network.state_dict().items() if not torch.equal(v, before[k])]
    assert "encoder.stem.conv.weight" in changed
    assert "transformer.layers.0.feedforward.0.weight" in changed


def test_position_code_reaches_queries_but_not_values(network):
    """With constant maps all values are equal, so the position code must not show in the first attention's
    output.
    """
    layer = network.eval().transformer.layers[0]
    tokens = torch.ones(1, 4 * 4 * 4 + 8, 384)
    reference = torch.full((1, tokens.shape[1], 1, 3), 0.5)
    with torch.no_grad():
        layer.attention.sampling_offsets.bias.zero_()
        outputs = [
            layer.attention(tokens + code, reference, tokens, [[4, 4, 4], [2, 2, 2]])
            for code in (torch.zeros(1, 1, 384), torch.randn(1, tokens.shape[1], 384))
        ]
    torch.testing.assert_close(outputs[0], outputs[1], rtol=1e-5, atol=1e-5)


def test_invalid_size_is_refused():
    with pytest.raises(ValueError, match=r"\[16, 30, 32\].*multiples of \[8, 16, 16\]"):
        CoTr()(torch.zeros(1, 1, 16, 30, 32))


def test_adrenal_glands_are_background_with_the_papers_classes():
    assert label_map(12) == {12: 0, 13: 0}
    assert label_map(14) == {}
    assert label_map(2) == {}


def test_memory_of_the_transformer_grows_linearly_with_tokens(network):
    """cotr/docs/method.md#how-to-know-it-works: double depth, double memory; full attention needs four times
    as much."""

    def peak(depth: int) -> int:
        maps = [torch.randn(1, 384, depth, 6, 8), torch.randn(1, 384, depth // 2, 3, 4)]
        with torch.no_grad():
            return peak_bytes(lambda: network.eval().transformer(maps))

    def full_attention(depth: int) -> int:
        tokens = torch.randn(1, 6, depth * 54, 64)
        with torch.no_grad():
            return peak_bytes(lambda: (tokens @ tokens.transpose(2, 3)).softmax(-1) @ tokens)

    assert 1.8 < peak(32) / peak(16) < 2.2
    assert full_attention(32) / full_attention(16) > 3.5
