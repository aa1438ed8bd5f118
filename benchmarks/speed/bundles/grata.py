"""GraTa: an image adapted to and predicted, beside its plain prediction; and the six views as one batch.

"direct" of the first comparison is one pass of the source network: its ratio is the price of adapting.  In
the second it is the same method with the views one after the other.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

import common  # noqa: F401 (puts the bundles on sys.path)
from benchmarks.speed.bundles.vptta import source_training
from benchmarks.speed.calls import prediction
from benchmarks.speed.measure import Case

GraTaNet = importlib.import_module("grata.network").GraTaNet  # once common has made it findable
GradientAlignmentInferer = importlib.import_module("grata.inferer").GradientAlignmentInferer


def cases(*, quick: bool, device: str) -> Iterator[Case]:
    """Growing images; 512 is the published size."""
    torch.manual_seed(0)
    network = GraTaNet().to(device).eval()
    on_cpu = torch.device(device).type == "cpu"
    for size in (64, 96) if quick else (64, 128) if on_cpu else (256, 512):
        image = torch.rand(1, 3, size, size, device=device)
        shared = {"size": f"3 x {size}^2", "tokens": size * size}
        together = _adapting(network, image)
        plain = prediction(network, image)
        yield Case(what="beside plain prediction", ours=together, direct=plain, compilable=False, **shared)
        one_by_one = _adapting(network, image, views_together=False)
        compiled = _adapting(network, image, compiled=True, views_together=False)
        yield Case(what="views as one batch", ours=together, direct=one_by_one, compiled=compiled, **shared)
    yield from source_training(GraTaNet().to(device), (64,) if on_cpu else (256, 512))


def _adapting(
    network: torch.nn.Module, image: Tensor, *, compiled: bool = False, **settings: bool
) -> Callable[[], Tensor]:
    inferer = GradientAlignmentInferer(**settings)
    inferer(image, network)  # makes its copy of the network
    if compiled:
        inferer.network = torch.compile(inferer.network, dynamic=False)

    def run() -> Tensor:
        return inferer(image, network)

    return run
