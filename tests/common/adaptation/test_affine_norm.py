"""Batch norm on each image's own statistics."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from common.adaptation.affine_norm import OwnStatisticsNorm, affine_parameters, convert_to_own_statistics
from common.errors import InputError
from tests.common.adaptation.small import SmallNetwork, stream


def test_one_image_equals_batch_norm_in_training_mode():
    network = SmallNetwork()
    expected = network.train()(stream(1))
    convert_to_own_statistics(network)
    torch.testing.assert_close(network.eval()(stream(1)), expected)
    assert not list(network.buffers()), "no running statistics exist"


def test_a_batch_equals_its_images():
    """Unlike batch norm in training mode, which mixes their statistics."""
    network = SmallNetwork()
    mixed = network.train()(stream(6))
    convert_to_own_statistics(network)
    together, alone = network(stream(6)), torch.cat([network(image) for image in stream(6).split(1)])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)
    assert (together - mixed).abs().max() > 0.01


def test_parameters_are_copies():
    norm = nn.BatchNorm2d(3)
    layer = OwnStatisticsNorm(norm)
    weight, bias = affine_parameters([layer])
    with torch.no_grad():
        weight.add_(1)
        bias.add_(1)
    torch.testing.assert_close(norm.weight, torch.ones(3))
    torch.testing.assert_close(layer(stream(1)), F.instance_norm(stream(1)) * 2 + 1)


def test_nothing_to_learn():
    with pytest.raises(InputError, match="affine=False"):
        affine_parameters(convert_to_own_statistics(nn.Sequential(nn.BatchNorm2d(2, affine=False))))
