"""A copy of a network that shares its weights but whose layers can be replaced."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from common.adaptation.working_copy import place_of_weights, replace_batch_norms, sharing_copy
from common.errors import InputError
from tests.common.adaptation.small import SmallNetwork, stream


def test_shares_every_tensor_and_requires_no_gradient():
    network = SmallNetwork()
    copy = sharing_copy(network.train())
    assert place_of_weights(copy) == place_of_weights(network)
    assert not any(p.requires_grad for p in copy.parameters())
    assert all(p.requires_grad for p in network.parameters())
    assert network.training
    assert not any(module.training for module in copy.modules())


def test_weights_loaded_later_are_seen():
    network, other = SmallNetwork().eval(), SmallNetwork(seed=1).eval()
    copy = sharing_copy(network)
    network.load_state_dict(other.state_dict())
    torch.testing.assert_close(copy(stream(1)), other(stream(1)), rtol=0, atol=0)


def test_moved_weights_are_seen():
    network = SmallNetwork()
    before = place_of_weights(network)
    network.load_state_dict(SmallNetwork(seed=1).state_dict())
    assert place_of_weights(network) == before
    network.double()
    assert place_of_weights(network) != before


def test_replaces_in_one_part_or_all():
    def replaced(**where):
        network = SmallNetwork()
        layers = replace_batch_norms(network, lambda norm: nn.Identity(), **where)
        return layers, [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]

    assert [len(part) for part in replaced()] == [2, 0]
    layers, left = replaced(within="encoder")
    assert (len(layers), len(left)) == (1, 1)
    assert left[0].num_features == 4


@pytest.mark.parametrize(
    ("network", "within", "says"),
    [
        (nn.Conv2d(1, 1, 1), "", "Conv2d: no batch norm to adapt"),
        (SmallNetwork(), "enc", 'no batch norm in its part "enc"'),
    ],
)
def test_nothing_to_replace(network, within, says):
    with pytest.raises(InputError, match=says):
        replace_batch_norms(network, lambda norm: norm, within=within)
