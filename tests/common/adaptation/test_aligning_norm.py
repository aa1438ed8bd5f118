"""Batch norm between source and image statistics: their shares, the limits, and that no state changes."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from common.adaptation.aligning_norm import WarmUp, alignment_loss, convert_to_aligning
from common.adaptation.working_copy import sharing_copy
from tests.common.adaptation.small import SmallNetwork, stream


def converted(tau=5.0, images=1, **where):
    network = SmallNetwork().eval()
    warm_up = WarmUp(tau)
    warm_up.images = images
    copy = sharing_copy(network)
    return network, copy, convert_to_aligning(copy, warm_up, **where)


def test_share_falls_as_published():
    warm_up = WarmUp(5.0)
    shares = []
    for warm_up.images in (1, 2, 3, 10_000):
        shares.append(warm_up.share)
    assert shares[:3] == pytest.approx([0.833, 0.780, 0.743], abs=5e-4)
    assert shares[0] == pytest.approx(1 / 1.2)
    assert 0 < shares[3] < 0.05
    assert shares == sorted(shares, reverse=True)


def test_tau_0_uses_only_the_source():
    """It equals batch norm in eval mode; the loss is the distance to the source's statistics."""
    network, copy, layers = converted(tau=0.0)
    image = stream(1)
    torch.testing.assert_close(copy(image), network(image))
    z = network.encoder[0](image)
    norm = network.encoder[1]
    distances = (norm.running_mean - z.mean((2, 3))).abs(), (norm.running_var.sqrt() - z.std((2, 3))).abs()
    torch.testing.assert_close(layers[0].loss, sum(d.mean() for d in distances))


@torch.no_grad()
def test_tau_infinite_uses_only_the_image():
    network, copy, layers = converted(tau=math.inf)
    image = stream(1)
    copy(image)
    z, norm = network.encoder[0](image), network.encoder[1]
    variance, mean = torch.var_mean(z, dim=(0, 2, 3))
    torch.testing.assert_close(layers[0](z), F.batch_norm(z, mean, variance, norm.weight, norm.bias))
    assert layers[1].loss.item() == pytest.approx(0, abs=1e-6)


def test_keys_and_numbers_are_those_of_the_plain_network():
    network, copy, _ = converted()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    copy.train()(stream(2))
    assert list(copy.state_dict()) == list(before)
    assert all(torch.equal(value, copy.state_dict()[key]) for key, value in before.items())


def test_a_single_part():
    network, copy, layers = converted(within="encoder", tau=0.0)
    assert len(layers) == 1
    assert isinstance(copy.decoder[1], nn.BatchNorm2d)
    torch.testing.assert_close(copy(stream(1)), network(stream(1)))


def test_loss_is_the_mean_over_layers_and_is_released():
    _, copy, layers = converted()
    image = stream(1).requires_grad_()
    copy(image)
    each = [layer.loss for layer in layers]
    loss = alignment_loss(layers)
    torch.testing.assert_close(loss, (each[0] + each[1]) / 2)
    assert (torch.autograd.grad(loss, image)[0] != 0).any()
    assert all(layer.loss is None for layer in layers)


def test_without_a_source_or_a_count():
    with pytest.raises(ValueError, match="no running statistics"):
        convert_to_aligning(nn.Sequential(nn.BatchNorm2d(2, track_running_stats=False)), WarmUp())
    with pytest.raises(RuntimeError, match="no image was counted"):
        _ = WarmUp().share
    with pytest.raises(ValueError, match="tau=-1"):
        WarmUp(-1)


def test_norms_without_weight_and_bias():
    norm = nn.BatchNorm2d(3, affine=False)
    warm_up = WarmUp(0.0)
    warm_up.images = 1
    network = nn.Sequential(norm)
    convert_to_aligning(network, warm_up)
    torch.testing.assert_close(network(stream(1)), norm.eval()(stream(1)))
