"""What holds for this network alone: segrap2023/docs/method.md#how-to-know-it-works.

to fill: a test for each line there
"""

from __future__ import annotations

import pytest
import torch

import common  # noqa: F401 (makes bundles importable)
from common.bundles import parse_config
from segrap2023.network import Segrap2023


@pytest.fixture
def network():
    torch.manual_seed(0)
    return parse_config("segrap2023").get_parsed_content("network_def")


def test_logits_have_the_size_of_the_image(network):
    assert isinstance(network, Segrap2023)
    size = [16, 32, 48]
    image = torch.randn(2, 1, *size, generator=torch.Generator().manual_seed(0))
    assert network.eval()(image).shape == (2, 12, *size)


def test_every_weight_is_trained(network):
    image = torch.randn(2, 1, *[32] * 3, generator=torch.Generator().manual_seed(0))
    logits = network.train()(image)
    weight = torch.randn(logits.shape, generator=torch.Generator().manual_seed(1))
    (logits * weight).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
