"""VPTTA's networks under their own names: sizes, and which norms adapt (vptta/docs/method.md#network)."""

from __future__ import annotations

import pytest
import torch

import common  # noqa: F401 (makes bundles importable)
from common.adaptation.aligning_norm import WarmUp, convert_to_aligning
from vptta.network import FundusNet, PolypNet


@pytest.mark.parametrize(
    ("kind", "parameters", "within", "adapting"),
    [(FundusNet, 22_041_570, "", 41), (PolypNet, 30_498_319, "encoder", 87)],
)
def test_sizes(kind, parameters, within, adapting):
    network = kind()
    assert sum(p.numel() for p in network.parameters()) == parameters
    keys = list(network.state_dict())
    assert len(convert_to_aligning(network, WarmUp(), within=within)) == adapting
    assert sorted(network.state_dict()) == sorted(keys)


@pytest.mark.parametrize("kind", [FundusNet, PolypNet])
def test_takes_other_image_channels_and_dropout(kind):
    torch.manual_seed(0)
    network = kind(1, dropout=0.5).eval()
    with torch.no_grad():
        assert network(torch.rand(1, 1, 32, 64)).shape[2:] == (32, 64)
    assert network.dropout.p == 0.5
