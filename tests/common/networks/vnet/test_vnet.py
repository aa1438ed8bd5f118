"""The V-Net family: sizes, and each of its switches."""

from __future__ import annotations

import pytest
import torch

from common.networks.vnet.network import UPSAMPLINGS, VNet, VNetDecoder, VNetEncoder

THIN = (2, 3, 4, 5, 6)


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def thin(**options) -> tuple[VNetEncoder, VNetDecoder]:
    torch.manual_seed(0)
    encoder = VNetEncoder(widths=THIN, dropout=0.0).eval()
    return encoder, VNetDecoder(widths=THIN, dropout=0.0, **options).eval()


def test_exact_parameter_count():
    """mcnet_plus/docs/method.md#network-in-3d."""
    network = VNet()
    assert count(network) == 9_448_866
    assert count(network.encoder) == 7_376_896
    assert count(network.decoder) == 2_071_970
    for word in ("trilinear", "nearest"):
        assert count(VNetDecoder(upsampling=word)) == 2_898_850


def test_instance_norm_has_no_parameters():
    """VerSemi (Zeng et al., IEEE TMI 2025): no affine, no running statistics, no last skip, its own head."""
    encoder, decoder = VNetEncoder(norm="instance"), VNetDecoder(None, norm="instance", finest_skip=False)
    assert not any("norm" in key for key in encoder.state_dict())
    pre_head_and_controller = (16 + 16 + 16 * 8 + 8) + (256 + 256) + (261 * 180 + 180)
    assert count(encoder) + count(decoder) == 9_484_144 - pre_head_and_controller


def test_map_sizes():
    encoder, decoder = thin()
    maps = encoder(torch.randn(1, 1, 32, 16, 48))
    assert [tuple(m.shape[1:]) for m in maps] == [
        (2, 32, 16, 48),
        (3, 16, 8, 24),
        (4, 8, 4, 12),
        (5, 4, 2, 6),
        (6, 2, 1, 3),
    ]
    logits, features = decoder.with_features(maps)
    assert logits.shape == (1, 2, 32, 16, 48)
    assert [f.shape for f in features] == [m.shape for m in reversed(maps)]


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
def test_both_ways_to_run_a_decoder_agree(upsampling):
    encoder, decoder = thin(upsampling=upsampling)
    maps = encoder(torch.randn(1, 1, 16, 16, 16))
    gates = [torch.rand_like(m) for m in reversed(maps)]
    torch.testing.assert_close(decoder(maps), decoder.with_features(maps)[0])
    torch.testing.assert_close(decoder(maps, gates), decoder.with_features(maps, gates)[0])


def test_feedback_changes_the_skip_and_deeper_maps():
    encoder, _ = thin()
    x = torch.randn(1, 1, 16, 16, 16)
    plain = encoder(x)
    feedback = [torch.zeros_like(m) for m in reversed(plain)]
    torch.testing.assert_close(encoder(x, feedback), plain)
    feedback[2] = 10 * torch.rand_like(feedback[2])  # deepest first: the third of five stages
    changed = encoder(x, feedback)
    assert torch.equal(changed[0], plain[0])
    assert torch.equal(changed[1], plain[1])
    torch.testing.assert_close(changed[2], plain[2] + feedback[2])
    assert not torch.allclose(changed[3], plain[3])


def test_open_gates_keep_the_skips_and_double_the_deepest_map():
    encoder, decoder = thin()
    maps = encoder(torch.randn(1, 1, 16, 16, 16))
    ones = [torch.ones_like(m) for m in reversed(maps)]
    doubled = [*maps[:-1], 2 * maps[-1]]
    torch.testing.assert_close(decoder(maps, ones), decoder(doubled))


def test_closed_gates_remove_the_skips():
    encoder, decoder = thin()
    maps = encoder(torch.randn(1, 1, 16, 16, 16))
    zeros = [torch.zeros_like(m) for m in reversed(maps)]
    without = [*(torch.zeros_like(m) for m in maps[:-1]), maps[-1]]
    torch.testing.assert_close(decoder(maps, zeros), decoder(without))


def test_decoder_without_the_finest_skip():
    encoder, decoder = thin(finest_skip=False)
    maps = encoder(torch.randn(1, 1, 16, 16, 16))
    other = [torch.randn_like(maps[0]), *maps[1:]]
    assert torch.equal(decoder(maps), decoder(other))


def test_dropout_drops_whole_channels_only_in_training():
    torch.manual_seed(0)
    encoder = VNetEncoder(widths=(2, 2, 2, 2, 64), dropout=0.5).train()
    deepest = encoder(torch.randn(1, 1, 32, 32, 32))[-1][0].flatten(1)
    dropped = (deepest == 0).all(1)
    assert 0.25 < dropped.float().mean() < 0.75
    assert (VNetEncoder(dropout=0.0).dropout.p, VNetDecoder(dropout=0.3).dropout.p) == (0.0, 0.3)


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
def test_scripted(upsampling):
    torch.manual_seed(0)
    network = VNet(upsampling=upsampling, widths=THIN).eval()
    x = torch.randn(1, 1, 32, 16, 16)
    torch.testing.assert_close(torch.jit.script(network)(x), network(x))


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"\[16, 24, 16\].*multiples of 16"):
        VNet(widths=THIN)(torch.zeros(1, 1, 16, 24, 16))
    with pytest.raises(ValueError, match=r"upsampling='bilinear'.*trilinear"):
        VNetDecoder(upsampling="bilinear")
