"""What holds for every test-time method: VPTTA, GraTa and the baseline TENT."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from monai.data import MetaTensor
from monai.networks.nets import UNet

import common  # noqa: F401 (makes bundles importable)
from common.adaptation.tent import Tent
from common.errors import InputError
from grata.inferer import GradientAlignmentInferer
from tests.common.adaptation.small import SmallNetwork, stream
from vptta.inferer import PromptInferer

METHODS = {
    "vptta": lambda: PromptInferer(image_size=24, prompt_alpha=0.15, memory_size=3, neighbours=2),
    "grata": lambda: GradientAlignmentInferer(lr=1e-2),
    "tent": lambda: Tent(lr=1e-2),
}


@pytest.fixture(params=METHODS.values(), ids=METHODS.keys())
def method(request):
    return request.param


@pytest.fixture
def network():
    return SmallNetwork().eval()


def run(inferer, network, images=None):
    return torch.cat([inferer(image, network) for image in (stream() if images is None else images).split(1)])


def through_a_file(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def test_adapts(method, network):
    """The logits differ from the plain network's, and earlier images matter."""
    inferer = method()
    logits = run(inferer, network)
    assert (logits - network(stream())).abs().max() > 1e-3
    last = run(method(), network, stream()[-1:])
    assert (logits[-1:] - last).abs().max() > 1e-6
    assert inferer.images == 4


def test_network_is_left_unchanged(method, network):
    network.train()
    before = copy.deepcopy(network.state_dict())
    run(method(), network)
    assert list(network.state_dict()) == list(before)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in network.parameters())
    assert all(module.training for module in network.modules())


def test_same_stream_same_result(method, network):
    inferer = method()
    first = run(inferer, network)
    assert torch.equal(run(method(), network), first)
    assert not torch.equal(run(inferer, network), first), "the second round goes on"
    inferer.reset()
    assert torch.equal(run(inferer, network), first)


@pytest.mark.parametrize("begun", [False, True])
def test_restored_state_continues_the_stream_exactly(method, network, begun):
    """Saved after two images and restored into a new inferer, or into one that has seen other images."""
    unbroken = run(method(), network)
    inferer = method()
    run(inferer, network, stream()[:2])
    state = through_a_file(inferer.state_dict())
    run(inferer, network, stream(seed=5))  # later images do not change the saved state
    other = method()
    if begun:
        run(other, network, stream(seed=9))
    other.load_state_dict(state)
    assert torch.equal(run(other, network, stream()[2:]), unbroken[2:])
    assert other.images == 4


def test_state_before_the_first_image(method, network):
    inferer = method()
    assert inferer.state_dict() == {}
    run(inferer, network, stream()[:2])
    waiting = method()
    waiting.load_state_dict(inferer.state_dict())
    assert waiting.state_dict()["images"] == 2
    waiting.load_state_dict({})
    assert torch.equal(run(waiting, network), run(method(), network))


def test_a_batch_is_a_stream(method, network):
    torch.testing.assert_close(method()(stream(), network), run(method(), network), rtol=0, atol=0)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_works_whatever_the_callers_grad_mode(method, network, mode):
    expected = run(method(), network)
    with mode():
        logits = run(method(), network, stream().clone())
    assert torch.equal(logits, expected)
    assert not expected.requires_grad


def test_metadata_passes_through(method, network):
    image = MetaTensor(stream(1), meta={"filename_or_obj": "a.png"})
    logits = method()(image, network)
    assert logits.shape == (1, 2, 24, 24)
    assert logits.meta["filename_or_obj"] == "a.png"
    assert torch.equal(logits.as_tensor(), method()(stream(1), network))


def test_weights_loaded_after_a_reset_are_used(method, network):
    """An evaluator that runs twice loads its weights at each start."""
    inferer, other = method(), SmallNetwork(seed=1).eval()
    run(inferer, network)
    inferer.reset()
    network.load_state_dict(other.state_dict())
    assert torch.equal(run(inferer, network), run(method(), other))


def test_another_network_starts_afresh(method, network, caplog):
    inferer, other = method(), SmallNetwork(seed=1).eval()
    run(inferer, network)
    assert torch.equal(run(inferer, other), run(method(), other))
    assert "begins anew" in caplog.text


def test_the_stream_continues_when_weights_move(method, network):
    """As when moving to another device; here the same numbers in other tensors."""
    unbroken = run(method(), network)
    inferer = method()
    run(inferer, network, stream()[:2])
    for parameter in network.parameters():
        parameter.data = parameter.data.clone()
    assert torch.equal(run(inferer, network, stream()[2:]), unbroken[2:])


def test_network_without_batch_norm(method):
    plain = UNet(2, 3, 2, channels=(4, 8), strides=(2,))
    with pytest.raises(InputError, match="UNet: no batch norm to adapt"):
        method()(stream(1), plain)


def test_states_that_do_not_fit(method, network):
    with pytest.raises(InputError, match="is of Another; expected"):
        method().load_state_dict({"method": "Another", "images": 1})
    inferer = method()
    run(inferer, network, stream()[:2])
    state = inferer.state_dict()
    del state["optimizer"]
    inferer.load_state_dict(state)
    with pytest.raises(InputError, match="does not fit this config"):
        inferer(stream(1), network)
