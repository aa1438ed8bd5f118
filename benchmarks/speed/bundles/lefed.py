"""LeFeD: prediction beside a plain V-Net, and the training step beside the one that a plain V-Net takes.

"direct" is the plain V-Net: the first ratio should be 1, the second is the price of the method's training.
"compiled" is LeFeD itself.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

import common  # noqa: F401 (puts the bundles on sys.path)
from benchmarks.speed.calls import compiled_directly, prediction, training_step
from benchmarks.speed.measure import Case
from common.losses.overlap.soft_dice import SoftDiceLoss
from common.networks.vnet.network import VNet

LeFeD = importlib.import_module("lefed.network").LeFeD  # once common has made it findable
losses = importlib.import_module("lefed.losses")
feedback_maps = importlib.import_module("lefed.feedback").feedback_maps

LABELLED = 2
PASSES = 3


def cases(*, quick: bool, device: str) -> Iterator[Case]:
    """Prediction of one window and training steps of 2 + 2 samples, at growing patches."""
    torch.manual_seed(0)
    lefed, vnet = LeFeD().to(device), VNet().to(device)
    dice = SoftDiceLoss(squared=True)
    on_cpu = torch.device(device).type == "cpu"
    small, large = ((32, 32, 32), (48, 48, 32)), ((64, 64, 48), (112, 112, 40), (112, 112, 80))
    for patch in ((32, 32, 16),) if quick else small if on_cpu else large:
        size, voxels = "x".join(map(str, patch)), patch[0] * patch[1] * patch[2]
        window = torch.randn(1, 1, *patch, device=device)
        predict = prediction(lefed, window)
        yield Case(
            what="prediction, beside V-Net",
            size=size,
            tokens=voxels,
            ours=predict,
            direct=prediction(vnet, window),
            compiled=compiled_directly(predict),
        )
    for patch in ((32, 32, 16),) if quick else ((32, 16, 16), (32, 32, 16)) if on_cpu else large:
        size, voxels = "x".join(map(str, patch)), patch[0] * patch[1] * patch[2]
        image = torch.randn(2 * LABELLED, 1, *patch, device=device)
        label = (image[:LABELLED] > 0.5).long()
        passes = _passes(lefed, image, label)
        yield Case(
            what=f"training, {PASSES} passes of 2 + 2, beside a V-Net's step of 2",
            size=size,
            tokens=voxels,
            ours=passes,
            compiled=compiled_directly(passes),
            direct=training_step(vnet, lambda x=image[:LABELLED], y=label: dice(vnet(x), y)),
        )


def _passes(network: torch.nn.Module, image: Tensor, label: Tensor) -> Callable[[], Tensor]:
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4, momentum=0.9)
    supervised, consistency = losses.LeFeDSupervisedLoss(), losses.DecoderConsistencyLoss()

    def run() -> Tensor:
        feedback = None
        for _ in range(PASSES):
            output = network.train()(image, feedback)
            known = type(output)(
                *(x[:LABELLED] if isinstance(x, Tensor) else [y[:LABELLED] for y in x] for x in output)
            )
            loss = supervised(known, label) + consistency(output)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()  # gradients left behind would hide those of the next call from its peak
            feedback = feedback_maps(output.features_a, output.features_b)
        return loss.detach()

    return run
