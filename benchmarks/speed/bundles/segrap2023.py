"""Segrap2023: a prediction, compared with the eager references and with the compiled network.

to fill: a training step, and the same network without the method for comparison
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from benchmarks.speed.calls import compiled_directly, directly, prediction
from benchmarks.speed.measure import Case
from common.bundles import parse_config


def cases(*, quick: bool, device: str) -> Iterator[Case]:
    """Predictions of growing images."""
    torch.manual_seed(0)
    network = parse_config("segrap2023").get_parsed_content("network_def").to(device)
    for side in (32,) if quick else (64, 96):
        shape = [side, side, side]
        predict = prediction(network, torch.randn(1, 1, *shape, device=device))
        yield Case(
            what="prediction",
            size="x".join(map(str, shape)),
            tokens=math.prod(shape),
            ours=predict,
            direct=directly(predict),
            compiled=compiled_directly(predict),
        )
