"""Nested channels and label maps."""

from __future__ import annotations

import torch

from common.tensors.nested import nested_channels, nested_label


def test_nested_channels_and_back():
    label = torch.tensor([[[0, 1, 2, 3]]])
    channels = nested_channels(label, 4)
    assert channels.tolist() == [[[0, 1, 1, 1]], [[0, 0, 1, 1]], [[0, 0, 0, 1]]]
    assert torch.equal(nested_label(channels), label.to(torch.uint8))
    outside = torch.tensor([[[0, 1]], [[1, 1]]])  # a cup outside the disc does not count
    assert nested_label(outside).tolist() == [[[0, 2]]]
