"""KiTS21's baseline: both stages beside the fine stage alone, in prediction and in a training step.

"direct" is the fine stage alone, what a single-stage U-Net costs: the ratio is the price of the coarse stage.
"compiled" is both stages.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

import common  # noqa: F401 (puts the bundles on sys.path)
from benchmarks.speed.calls import compiled_directly, training_step
from benchmarks.speed.measure import Case

networks = importlib.import_module("kits21.network")  # once common has made it findable
losses = importlib.import_module("kits21.losses")
inferer = importlib.import_module("kits21.inferer")

SPACING_MM = (2.0, 1.0, 1.0)


def cases(*, quick: bool, device: str) -> Iterator[Case]:
    """A whole volume predicted, and training steps of one crop and one coarse view, at growing sizes."""
    torch.manual_seed(0)
    both, single = networks.CoarseToFine().to(device), networks.RegionUNet().to(device)
    for patch in _patches(quick=quick, on_gpu=torch.device(device).type == "cuda"):
        size, voxels = "x".join(map(str, patch)), patch[0] * patch[1] * patch[2]
        scan = torch.randn(1, 1, *patch, device=device)
        for what, ours, direct in (
            ("prediction of a scan", _prediction(both, scan, patch), _prediction(single, scan, patch)),
            ("training step", _step(both, scan), _step(single, scan)),
        ):
            yield Case(
                what=f"{what}, beside one stage",
                size=size,
                tokens=voxels,
                ours=ours,
                direct=direct,
                compiled=compiled_directly(ours),
            )


def _patches(*, quick: bool, on_gpu: bool) -> tuple[tuple[int, int, int], ...]:
    """On a GPU up to the published patch."""
    if on_gpu and not quick:
        return ((64, 64, 64), (96, 96, 96), (128, 128, 128))
    return ((32, 32, 64),)  # on a CPU a larger one takes minutes


def _prediction(network: nn.Module, scan: Tensor, patch: tuple[int, int, int]) -> Callable[[], Tensor]:
    """Untrained weights: pieces of any size are kidneys, so that the fine stage has work to do."""
    infer = inferer.CoarseToFineInferer(patch, patch, spacing=SPACING_MM, smallest_ml=0.0)

    @torch.no_grad()
    def run() -> Tensor:
        return infer(scan, network.eval())

    return run


def _step(network: nn.Module, scan: Tensor) -> Callable[[], Tensor]:
    loss, call = losses.TwoStageLoss(), inferer.TwoStageTrainingInferer()
    label = (scan > 1).to(torch.uint8) + (scan > 2).to(torch.uint8)
    mask = (label > 0).to(torch.uint8)
    return training_step(
        network, lambda: loss(call(scan, network, mask, scan), {"fine": label, "coarse": mask})
    )
