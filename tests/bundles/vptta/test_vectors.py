"""VPTTA's source networks and losses compute what the authors' code computes, through ``from_authors``."""

from __future__ import annotations

import torch

import common  # noqa: F401 (makes bundles importable)
from common.networks.resnet_unet import ResNetUNet
from tests.vectors import load
from vptta.checkpoint import from_authors


def test_network():
    vector = load("vptta_net")
    network = ResNetUNet().eval()
    state = from_authors(vector.state)
    network.load_state_dict(state, strict=False)
    assert set(state) == {k for k in network.state_dict() if not k.endswith("num_batches_tracked")}
    with torch.no_grad():
        maps = network.encode(vector.inputs["image"])
        logits = network.head(network.decode(maps))
        torch.testing.assert_close(network(vector.inputs["image"]), logits)
    vector.compare({"logits": logits, "skip_layer1": maps[1][:, :16, ::2, ::2], "bottleneck": maps[4]})
