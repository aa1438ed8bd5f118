"""TriD's network computes what the authors' code computes, through ``from_authors``."""

from __future__ import annotations

import pytest
import torch

import common  # noqa: F401 (makes bundles importable)
from common.networks.resnet_unet import ResNetUNet
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
