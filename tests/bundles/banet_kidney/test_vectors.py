"""BA-Net computes what the authors' code computes: banet_kidney/docs/method.md#network."""

from __future__ import annotations

import pytest
import torch

import common  # noqa: F401 (makes bundles importable)
from banet_kidney.checkpoint import from_authors
from banet_kidney.network import BANet
from common.losses.boundary_aware import BoundaryAwareLoss
from common.transforms.boundary import inner_boundary
from tests.vectors import load
from tests.vectors.boundary_unet import compare_both_decoders


def test_network():
    vector = load("banet_kidney")
    network = BANet(strides=[2] * 5)
    network.load_state_dict(from_authors(vector.state))
    compare_both_decoders(network, vector)


@pytest.mark.parametrize("name", ["nested", "touching"])
def test_boundary_targets(name):
    """Exactly; the vector has the value of each shell."""
    vector = load("banet_kidney_boundary")
    found = inner_boundary(vector.inputs[f"labels_{name}"][None, None])[0, 0]
    assert torch.equal(found, vector.outputs[f"boundary_{name}"] > 0)


def test_boundary_loss():
    """Of one scale; ours is a Dice loss, theirs the negative Dice."""
    vector = load("banet_kidney_boundary")
    found = BoundaryAwareLoss()(vector.inputs["boundary_logits"], vector.inputs["boundary_target"])
    torch.testing.assert_close(found.double() - 1, vector.outputs["boundary_loss"], rtol=1e-5, atol=1e-6)
