"""BA-Net beside the plain U-Net of the same plan, in prediction and in a training step.

Both have a head at every level.  "direct" is the plain U-Net: the ratio is the price of the boundary decoder.
"compiled" is BA-Net.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

import common  # noqa: F401 (puts the bundles on sys.path)
from benchmarks.speed.calls import compiled_directly, prediction, training_step
from benchmarks.speed.measure import Case
from common.losses.boundary_aware import BoundaryAwareLoss
from common.networks.plain_unet.network import PlainUNet
from common.transforms.boundary import inner_boundary

network = importlib.import_module("banet_kidney.network")  # once common has made it findable

CLASSES = 5


def cases(*, quick: bool, device: str) -> Iterator[Case]:
    """One patch predicted, and trained on, at growing sizes."""
    torch.manual_seed(0)
    guided = network.BANet(1, CLASSES).to(device)
    plain = PlainUNet(1, CLASSES, strides=network.STRIDES).to(device)
    for patch in _patches(quick=quick, on_gpu=torch.device(device).type == "cuda"):
        image = torch.randn(1, 1, *patch, device=device)
        for what, ours, direct in (
            ("prediction", prediction(guided, image), prediction(plain, image)),
            ("training step", _step(guided, image), _step(plain, image)),
        ):
            yield Case(
                what=f"{what}, beside the plain U-Net",
                size="x".join(map(str, patch)),
                tokens=patch[0] * patch[1] * patch[2],
                ours=ours,
                direct=direct,
                compiled=compiled_directly(ours),
            )


def _patches(*, quick: bool, on_gpu: bool) -> tuple[tuple[int, int, int], ...]:
    """On a GPU up to the published patch."""
    if on_gpu and not quick:
        return ((64, 64, 64), (96, 96, 96), (160, 128, 112))
    return ((32, 32, 32),) if quick else ((32, 64, 64),)  # on a CPU a larger one takes minutes


def _step(guided: nn.Module, image: Tensor) -> Callable[[], Tensor]:
    """With the boundary target, which both get and the plain U-Net has no use for."""
    loss = BoundaryAwareLoss()
    label = (image > 1).to(torch.uint8) + (image > 2).to(torch.uint8)

    def run() -> Tensor:
        target = {"classes": label, "boundary": inner_boundary(label).to(label.dtype)}
        return loss(guided(image), target)

    return training_step(guided, run)
