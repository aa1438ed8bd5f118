"""TriD: the training step beside plain training's, and the layer beside the formula written out.

"direct" of the step is the same network without styles: the ratio is the price of the method; "compiled" is
the network with them.  "direct" of the layer normalises, mixes the statistics and scales as the paper writes
it, in five passes over the map; ours folds them into one scale and shift.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import torch
from torch import Tensor

import common  # noqa: F401 (puts the bundles on sys.path)
from benchmarks.speed.calls import compiled_directly, prediction, training_step
from benchmarks.speed.measure import Case
from common.blocks.feature_statistics import TriD, exchange_statistics, mean_and_deviation
from common.losses.overlap.nested_dice_bce import NestedDiceBCELoss

TriDUNet = importlib.import_module("trid.network").TriDUNet  # once common has made it findable

SAMPLES = 4


def cases(*, quick: bool, device: str) -> Iterator[Case]:
    """Training steps of a batch and predictions, then the layer on the maps of layers 1 and 2."""
    torch.manual_seed(0)
    on_cpu = torch.device(device).type == "cpu"
    styled, plain = TriDUNet(style_prob=1.0).to(device), TriDUNet(style="none").to(device)
    loss = NestedDiceBCELoss()
    for side in (64,) if quick else (96, 128) if on_cpu else (256, 512):
        image = torch.randn(SAMPLES, 3, side, side, device=device)
        label = torch.randint(0, 3, (SAMPLES, 1, side, side), device=device)
        steps = [
            training_step(net, lambda net=net, image=image, label=label: loss(net(image), label))
            for net in (styled, plain)
        ]
        for what, ours, direct in (
            (f"training step of {SAMPLES}", *steps),
            ("prediction", prediction(styled, image[:1]), prediction(plain, image[:1])),
        ):
            yield Case(
                what=f"{what}, beside the same without styles",
                size=f"{side}x{side}",
                tokens=side * side,
                ours=ours,
                direct=direct,
                compiled=compiled_directly(ours),
            )
    for channels, side in ((64, 16),) if quick else ((64, 32), (64, 128)):
        x = torch.relu(torch.randn(SAMPLES, channels, side, side, device=device))
        drawn = TriD(1.0).draw(x)
        yield Case(
            what="the layer, beside the formula written out",
            size=f"{channels}x{side}x{side}",
            tokens=side * side,
            ours=lambda x=x, drawn=drawn: exchange_statistics(x, *drawn),
            direct=lambda x=x, drawn=drawn: _written_out(x, *drawn),
        )


def _written_out(x: Tensor, mean: Tensor, deviation: Tensor, chosen: Tensor) -> Tensor:
    own_mean, own_deviation = mean_and_deviation(x)
    normalised = (x - own_mean) / own_deviation
    mixed_deviation = chosen * deviation + (1 - chosen) * own_deviation
    return normalised * mixed_deviation + chosen * mean + (1 - chosen) * own_mean
