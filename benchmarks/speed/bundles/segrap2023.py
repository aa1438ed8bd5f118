"""SegRap2023's baseline: predicting 55 classes, by streamed sums and with a volume of each class.

"direct" keeps the probabilities of all classes and chooses then; the ratio is what streaming costs in time.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

import common  # noqa: F401 (puts the bundles on sys.path)
from benchmarks.speed.calls import compiled_directly, training_step
from benchmarks.speed.measure import Case

networks = importlib.import_module("segrap2023.network")  # once common has made it findable
losses = importlib.import_module("segrap2023.losses")
windows = importlib.import_module("segrap2023.windows")

CLASSES = 55


def cases(*, quick: bool, device: str) -> Iterator[Case]:
    """A scan predicted by windows, and a training step with and without the weights of small classes."""
    torch.manual_seed(0)
    network = networks.UNet3D(out_channels=CLASSES).to(device)
    patch = [16, 32, 32] if quick else [32, 96, 96]
    scan = torch.randn(1, 2, 2 * patch[0], patch[1], patch[2], device=device)
    streamed, whole = (_prediction(network, scan, patch, classes=yes) for yes in (True, False))
    yield Case(
        what="prediction, streamed",
        size="x".join(map(str, scan.shape[2:])),
        tokens=math.prod(scan.shape[2:]),
        ours=streamed,
        direct=whole,
        compiled=compiled_directly(streamed),
    )
    crop = scan[:, :, : patch[0]]
    target = torch.nn.functional.one_hot((crop[:, 0].abs() * 20).long().clamp(max=CLASSES - 1), CLASSES)
    target = target.movedim(-1, 1).float()
    weighted, plain = (losses.DiceCrossEntropy(w) for w in (losses.class_weights(CLASSES), None))
    step = training_step(network, lambda: weighted(network.train()(crop), target))
    yield Case(
        what="training step, weighted",
        size="x".join(map(str, crop.shape[2:])),
        tokens=math.prod(crop.shape[2:]),
        ours=step,
        direct=training_step(network, lambda: plain(network.train()(crop), target)),
        compiled=compiled_directly(step),
    )


def _prediction(
    network: torch.nn.Module, scan: Tensor, patch: list[int], *, classes: bool
) -> Callable[[], Tensor]:
    infer = windows.StrideWindowInferer(patch, classes=classes)

    @torch.no_grad()
    def run() -> Tensor:
        return infer(scan, network.eval())

    return run
