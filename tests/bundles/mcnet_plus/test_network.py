"""MC-Net+'s sizes, and mcnet_plus/docs/method.md#how-to-know-it-works (1, 2 and 5 are next to what they
test).
"""

from __future__ import annotations

import pytest
import torch

import common  # noqa: F401 (makes bundles importable)
from common.checkpoints.importing import import_checkpoint
from common.networks.vnet.network import VNet
from mcnet_plus.checkpoint import from_authors
from mcnet_plus.network import MCNetPlus2d, MCNetPlus3d
from tests.vectors import load


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_exact_parameter_count():
    sizes = [count(MCNetPlus3d(upsamplings=["transposed", "trilinear", "nearest"][:k])) for k in (1, 2, 3)]
    assert sizes == [9_448_866, 12_347_716, 15_246_566]
    words = ["bilinear", "transposed", "nearest", "bicubic"]
    sizes = [count(MCNetPlus2d(upsamplings=words[:k])) for k in (1, 2, 3, 4)]
    assert sizes == [1_813_764, 2_577_624, 3_210_924, 3_844_224]
    assert count(MCNetPlus2d().encoder) == 1_180_464


@pytest.mark.parametrize("kind", [MCNetPlus3d, MCNetPlus2d])
def test_all_decoders_run_in_training_and_only_the_first_in_eval(kind):
    network, x = kind(dropout=0.0), torch.randn(2, 1, 32, 32, *[16] * (kind is MCNetPlus3d))
    ran = []
    for k, decoder in enumerate(network.decoders):
        decoder.register_forward_hook(lambda *_, k=k: ran.append(k))
    logits = network.train()(x)
    assert [tuple(one.shape[2:]) for one in logits] == [tuple(x.shape[2:])] * 3
    assert ran == [0, 1, 2]
    ran.clear()
    with torch.no_grad():
        first = network.eval()(x)
    assert isinstance(first, torch.Tensor)
    assert ran == [0]


def test_decoders_differ_only_in_their_up_sampling():
    """mcnet_plus/docs/method.md#how-to-know-it-works: decoders 2 and 3 have equal shapes, decoder 1 differs
    in four weights; one kind of up-sampling gives one output."""
    shapes = [{k: v.shape for k, v in decoder.state_dict().items()} for decoder in MCNetPlus3d().decoders]
    assert shapes[1] == shapes[2]
    differing = [key for key in shapes[0] if shapes[0][key] != shapes[1][key]]
    assert differing == [f"ups.{i}.0.weight" for i in range(4)]

    torch.manual_seed(0)
    twins = MCNetPlus3d(upsamplings=["trilinear", "trilinear"], dropout=0.0).eval()
    other = MCNetPlus3d(upsamplings=["trilinear", "nearest"], dropout=0.0).eval()
    twins.decoders[1].load_state_dict(twins.decoders[0].state_dict())
    other.load_state_dict(twins.state_dict())
    x = torch.randn(1, 1, 16, 16, 32)
    with torch.no_grad():
        maps = twins.encoder(x)
        first, second = (decoder(maps) for decoder in twins.decoders)
        nearest = other.decoders[1](other.encoder(x))
    assert torch.equal(first, second)
    assert not torch.allclose(first, nearest)


def test_a_checkpoint_without_the_other_decoders_is_a_vnet():
    """mcnet_plus/docs/method.md#how-to-know-it-works: exactly the same numbers."""
    vector = load("mcnet_plus_3d")
    network, plain = MCNetPlus3d().eval(), VNet().eval()
    state = from_authors(vector.state)
    network.load_state_dict(state, strict=False)
    first = {k: v for k, v in state.items() if not k.startswith(("decoders.1.", "decoders.2."))}
    plain.load_state_dict({k.replace("decoders.0.", "decoder."): v for k, v in first.items()}, strict=False)
    alone = MCNetPlus3d(upsamplings=["transposed"]).eval()
    alone.load_state_dict(first, strict=False)
    with torch.no_grad():
        expected = network(vector.inputs["x"])
        assert torch.equal(plain(vector.inputs["x"]), expected)
        assert torch.equal(alone(vector.inputs["x"]), expected)


@pytest.mark.parametrize("kind", [MCNetPlus3d, MCNetPlus2d])
def test_mean_of_all_decoders_on_request(kind):
    torch.manual_seed(0)
    network = kind(average=True, dropout=0.0).eval()
    x = torch.randn(1, 1, 16, 16, *[16] * (kind is MCNetPlus3d))
    with torch.no_grad():
        probabilities = [decoder(network.encoder(x)).softmax(1) for decoder in network.decoders]
        torch.testing.assert_close(network(x).softmax(1), sum(probabilities) / 3)


@pytest.mark.parametrize("kind", [MCNetPlus3d, MCNetPlus2d])
def test_wrong_arguments(kind):
    with pytest.raises(ValueError, match="upsamplings is empty"):
        kind(upsamplings=[])
    with pytest.raises(ValueError, match="upsampling='cubic'; expected one of"):
        kind(upsamplings=["cubic"])
    with pytest.raises(ValueError, match=r"\[16, 17.*multiples of 16"):
        kind()(torch.zeros(1, 1, 16, 17, *[16] * (kind is MCNetPlus3d)))


@pytest.mark.parametrize("name", ["mcnet_plus_3d", "mcnet_plus_2d"])
def test_checkpoints_of_parallel_training(name):
    state = load(name).state
    wrapped = from_authors({f"module.{key}": value for key, value in state.items()})
    assert wrapped.keys() == from_authors(state).keys()


@pytest.mark.parametrize(
    ("name", "network"),
    [
        ("mcnet_plus_3d", {}),
        (
            "mcnet_plus_2d",
            {"network_def": {"_target_": "mcnet_plus.network.MCNetPlus2d", "out_channels": 4}},
        ),
    ],
)
def test_checkpoint_files_of_the_authors(name, network, tmp_path):
    """A bare state dict with counters, like theirs; every key is matched."""
    vector = load(name)
    integers = [entry["key"] for entry in vector.info["state"] if not entry["dtype"].startswith("float")]
    torch.save({**vector.state, **{key: torch.tensor(7) for key in integers}}, tmp_path / "theirs.pth")
    told = import_checkpoint("mcnet_plus", str(tmp_path / "theirs.pth"), str(tmp_path / "ours.pt"), **network)
    keys = len(vector.info["state"])
    assert f"{keys} of {keys} keys matched" in told
