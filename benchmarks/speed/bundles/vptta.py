"""VPTTA: an image adapted to and predicted, beside its plain prediction; and ours beside the direct forms.

"direct" of the first comparison is one pass of the frozen network: its ratio is the price of adapting.  In
the second it is the same method with the references of the prompt (two Fourier transforms) and of the
adaptive norms (four reductions).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence

import torch

import common  # noqa: F401 (puts the bundles on sys.path)
from benchmarks.speed.calls import prediction, training_step
from benchmarks.speed.measure import Case, kernels
from common.losses.overlap.nested_dice_bce import NestedDiceBCELoss
from common.networks.resnet_unet.network import ResNetUNet

PromptInferer = importlib.import_module("vptta.inferer").PromptInferer  # once common has made it findable


def cases(*, quick: bool, device: str) -> Iterator[Case]:
    """Growing images; 512 is the published size. The memory is full, so that each image asks it."""
    torch.manual_seed(0)
    network = ResNetUNet().to(device).eval()
    on_cpu = torch.device(device).type == "cpu"
    for size in (64, 96) if quick else (96, 192) if on_cpu else (256, 512):
        image = torch.rand(1, 3, size, size, device=device)
        shared = {"size": f"3 x {size}^2", "tokens": size * size}
        adapting = _adapting(network, image, size)
        plain = prediction(network, image)
        yield Case(what="beside plain prediction", ours=adapting, direct=plain, compilable=False, **shared)
        with_references = _adapting(network, image, size, "eager")
        compiled = _adapting(network, image, size, "eager", compiled=True)
        yield Case(
            what="beside the direct forms", ours=adapting, direct=with_references, compiled=compiled, **shared
        )
    yield from source_training(ResNetUNet().to(device), (64,) if quick else (96,) if on_cpu else (256, 512))


def source_training(network: torch.nn.Module, sizes: Sequence[int]) -> Iterator[Case]:
    """The step that trains the source model on a batch of 4; nothing in it is ours, so both ways are one."""
    loss = NestedDiceBCELoss()
    device = next(network.parameters()).device
    for size in sizes:
        image = torch.rand(4, 3, size, size, device=device)
        label = torch.randint(0, 3, (4, 1, size, size), device=device)
        step = training_step(network, lambda image=image, label=label: loss(network(image), label))
        yield Case(
            what="training step of the source model",
            size=f"4 x 3 x {size}^2",
            tokens=size * size,
            ours=step,
            direct=step,
        )


def _adapting(
    network: torch.nn.Module,
    image: torch.Tensor,
    size: int,
    choice: str = "auto",
    *,
    compiled: bool = False,
) -> Callable[[], torch.Tensor]:
    inferer = PromptInferer(image_size=size, memory_size=4, neighbours=2)
    for _ in range(3):
        inferer(image, network)
    if compiled:  # its copy of the network, which it calls with gradients and without
        inferer.network = torch.compile(inferer.network, dynamic=False)
    images = inferer.images

    def run() -> torch.Tensor:
        if compiled:  # the share of the current image is a constant of the graph: each count compiles anew
            inferer.images = images
        with kernels(choice):
            return inferer(image, network)

    return run
