"""BA-Net with KiPA22's plan beside the plain U-Net of the same plan."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import torch

import common  # noqa: F401 (puts the bundles on sys.path)
from benchmarks.speed.boundary_unet import beside_plain
from benchmarks.speed.measure import Case
from common.networks.plain_unet.network import PlainUNet

network = importlib.import_module("banet_kidney.network")  # once common has made it findable

CLASSES = 5


def cases(*, quick: bool, device: str) -> Iterator[Case]:
    """One patch predicted, and trained on, at growing sizes."""
    torch.manual_seed(0)
    guided = network.BANet(1, CLASSES).to(device)
    plain = PlainUNet(1, CLASSES, strides=network.STRIDES).to(device)
    on_gpu = torch.device(device).type == "cuda"
    yield from beside_plain(guided, plain, _patches(quick=quick, on_gpu=on_gpu), device=device)


def _patches(*, quick: bool, on_gpu: bool) -> tuple[tuple[int, int, int], ...]:
    """On a GPU up to the published patch."""
    if on_gpu and not quick:
        return ((64, 64, 64), (96, 96, 96), (160, 128, 112))
    return ((32, 32, 32),) if quick else ((32, 64, 64),)  # on a CPU a larger one takes minutes
