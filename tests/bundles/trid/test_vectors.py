"""TriD computes what the authors' code computes: the network through ``from_authors``, and the layers."""

from __future__ import annotations

import pytest
import torch

import common  # noqa: F401 (makes bundles importable)
from common.blocks.feature_statistics import exchange_sorted_values, exchange_statistics, mix_statistics
from common.networks.resnet_unet.network import ResNetUNet
from tests.vectors import load
from trid.checkpoint import from_authors


@pytest.mark.parametrize(("name", "out_channels"), [("trid_net", 2), ("trid_net1", 1)])
def test_network(name, out_channels):
    vector = load(name)
    network = ResNetUNet(out_channels=out_channels).eval()
    state = from_authors(vector.state)
    network.load_state_dict(state, strict=False)
    assert set(state) == {k for k in network.state_dict() if not k.endswith("num_batches_tracked")}
    with torch.no_grad():
        vector.compare({"logits": network(vector.inputs["image"])})


def test_layer():
    """With the published draws."""
    vector = load("trid_layer")
    given = vector.inputs
    x = given["x"].clone().requires_grad_()
    y = exchange_statistics(x, given["mu_random"], given["sigma_random"], given["bernoulli"])
    (gradient,) = torch.autograd.grad((y * torch.linspace(-1, 1, 12)).square().sum(), x)
    vector.compare({"y": y, "grad": gradient})


def test_layers_that_mix():
    vector = load("trid_mixstyle")
    given = vector.inputs
    draws = (given["x"], given["perm"], given["lam"])
    vector.compare({"mixstyle": mix_statistics(*draws), "efdmix": exchange_sorted_values(*draws)})
