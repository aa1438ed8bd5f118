"""How both bundles of BA-Net compare their network with a vector."""

from __future__ import annotations

import torch
from torch import nn

from tests.vectors import Vector


def every(*steps: int) -> tuple[slice, ...]:
    """Each of these steps along the spatial axes."""
    return (slice(None), slice(None), *(slice(0, None, step) for step in steps))


def compare_both_decoders(network: nn.Module, vector: Vector) -> None:
    """The maps of training at several scales, and that of ``eval`` mode, which is the finest."""
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
