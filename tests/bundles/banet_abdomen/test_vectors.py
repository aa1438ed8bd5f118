"""BA-Net computes what the authors' code computes: banet_abdomen/docs/method.md#network."""

from __future__ import annotations

import pytest
import torch

import common  # noqa: F401 (makes bundles importable)
from banet_abdomen.checkpoint import from_authors
from banet_abdomen.network import BANet
from tests.vectors import load


def every(*steps: int) -> tuple[slice, ...]:
    return (slice(None), slice(None), *(slice(0, None, step) for step in steps))


@pytest.mark.full
def test_network():
    """Poolings (1,2,2), three of (2,2,2), (1,2,2).

    In full runs: the vector of banet_kidney, of the same code, is compared always.
    """
    vector = load("banet_abdomen")
    network = BANet(strides=((1, 2, 2), 2, 2, 2, (1, 2, 2)))
    network.load_state_dict(from_authors(vector.state))
    with torch.no_grad():
        maps = network.train()(vector.inputs["x"])
        alone = network.eval()(vector.inputs["x"])
    classes, boundary = maps["classes"], maps["boundary"]
    vector.compare(
        {
            "seg0_strided": classes[0][every(4, 4, 4)],
            "seg1_strided": classes[1][every(2, 4, 4)],
            "seg2_strided": classes[2][every(2, 2, 2)],
            "seg4": classes[4],
            "bdr0_strided": boundary[0][every(4, 4, 4)],
            "bdr1_strided": boundary[1][every(2, 4, 4)],
            "bdr4": boundary[4],
        }
    )
    torch.testing.assert_close(alone, classes[0])
