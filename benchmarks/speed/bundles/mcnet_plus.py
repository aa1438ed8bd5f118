"""MC-Net+: prediction against a plain V-Net, consistency and training step against the direct form."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

import common  # noqa: F401 (puts the bundles on sys.path)
from benchmarks.speed.calls import compiled_directly, directly, prediction, training_step
from benchmarks.speed.measure import Case
from common.losses.consistency.mutual_consistency import MutualConsistencyLoss
from common.losses.overlap.soft_dice import SoftDiceLoss
from common.networks.vnet.network import VNet

MCNetPlus3d = importlib.import_module("mcnet_plus.network").MCNetPlus3d  # once common has made it findable


def cases(*, quick: bool, device: str) -> Iterator[Case]:
    """One prediction, the consistency alone, and a training step of 2 + 2 patches, at growing patches."""
    torch.manual_seed(0)
    network = MCNetPlus3d().to(device)
    plain = VNet().to(device)
    on_cpu = torch.device(device).type == "cpu"
    patches = ((16, 16, 16), (32, 16, 16)) if quick else ((32, 32, 16), (32, 32, 32))
    for patch in patches if on_cpu or quick else ((64, 64, 48), (112, 112, 40), (112, 112, 80)):
        size, voxels = "x".join(map(str, patch)), patch[0] * patch[1] * patch[2]
        image = torch.randn(4, 1, *patch, device=device)
        label = torch.randint(2, (2, 1, *patch), device=device)
        predict = prediction(network, image[:1])
        yield Case(
            what="prediction (direct: plain V-Net)",
            size=size,
            tokens=voxels,
            ours=predict,
            direct=prediction(plain, image[:1]),
            compiled=compiled_directly(predict),
        )
        logits = [torch.randn(4, 2, *patch, device=device, requires_grad=True) for _ in range(3)]
        for what, run in (
            ("consistency, forward + backward", _consistency(logits)),
            ("training step", training_step(network, _loss(network, image, label), lr=0.01)),
        ):
            compiled = compiled_directly(run)
            yield Case(what=what, size=size, tokens=voxels, ours=run, direct=directly(run), compiled=compiled)


def _consistency(logits: list[Tensor]) -> Callable[[], tuple[Tensor, ...]]:
    loss = MutualConsistencyLoss()

    def run() -> tuple[Tensor, ...]:
        return torch.autograd.grad(loss(logits), logits)

    return run


def _loss(network: torch.nn.Module, image: Tensor, label: Tensor) -> Callable[[], Tensor]:
    dice, consistency = SoftDiceLoss(), MutualConsistencyLoss()

    def run() -> Tensor:
        logits = network(image)
        return 0.5 * sum(dice(one[: len(label)], label) for one in logits) + consistency(logits)

    return run
