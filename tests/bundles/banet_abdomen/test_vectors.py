"""BA-Net computes what the authors' code computes: banet_abdomen/docs/method.md#network."""

from __future__ import annotations

import pytest

import common  # noqa: F401 (makes bundles importable)
from banet_abdomen.checkpoint import from_authors
from banet_abdomen.network import BANet
from tests.vectors import load
from tests.vectors.boundary_unet import compare_both_decoders


@pytest.mark.full
def test_network():
    """Poolings (1,2,2), three of (2,2,2), (1,2,2).

    In full runs: the vector of banet_kidney, of the same code, is compared always.
    """
    vector = load("banet_abdomen")
    network = BANet(strides=((1, 2, 2), 2, 2, 2, (1, 2, 2)))
    network.load_state_dict(from_authors(vector.state))
    compare_both_decoders(network, vector)
