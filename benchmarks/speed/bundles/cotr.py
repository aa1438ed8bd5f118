"""CoTr as a whole, and its transformer alone, with our attention and with the direct published path."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

import common  # noqa: F401 (puts the bundles on sys.path)
from benchmarks.speed.calls import compiled_directly, directly, prediction, training_step
from benchmarks.speed.measure import Case

CoTr = importlib.import_module("cotr.network").CoTr  # once common has made it findable

CLASSES = 12


def cases(*, quick: bool, device: str) -> Iterator[Case]:
    """Transformer at growing depth, then network and training step at growing patches."""
    torch.manual_seed(0)
    network = CoTr(in_channels=1, out_channels=CLASSES).to(device)
    yield from _transformer_cases(network.transformer, quick=quick, device=device)
    for patch in _patches(quick=quick, on_gpu=torch.device(device).type == "cuda"):
        image = torch.randn(1, 1, *patch, device=device)
        label = torch.randint(CLASSES, (1, *patch), device=device)
        # Every 4 x 8 x 8 voxels are one token of the finer map, and eight such one of the coarser.
        finer = (patch[0] // 4) * (patch[1] // 8) * (patch[2] // 8)
        for what, run in (
            ("network, forward", prediction(network, image)),
            ("network, training step", training_step(network, _loss(network, image, label))),
        ):
            yield _case(what, _words(patch), finer + finer // 8, run)


def _patches(*, quick: bool, on_gpu: bool) -> tuple[tuple[int, int, int], ...]:
    """On a GPU up to the published patch."""
    if quick:
        return ((16, 32, 32),)
    return ((24, 96, 96), (48, 96, 96), (48, 192, 192)) if on_gpu else ((16, 64, 64), (32, 64, 64))


def _transformer_cases(transformer: torch.nn.Module, *, quick: bool, device: str) -> Iterator[Case]:
    for depth in (4, 6) if quick else (4, 8, 16):
        levels = [(depth, 12, 12), (depth // 2, 6, 6)]
        maps = [torch.randn(1, 384, *level, device=device) for level in levels]
        tokens = sum(m[0, 0].numel() for m in maps)
        size = " + ".join(_words(level) for level in levels)
        yield _case("DeTrans, forward", size, tokens, prediction(transformer, maps))
        yield _case("DeTrans, forward + backward", size, tokens, _backward(transformer, maps))


def _case(what: str, size: str, tokens: int, run: Callable[[], Any]) -> Case:
    return Case(
        what=what, size=size, tokens=tokens, ours=run, direct=directly(run), compiled=compiled_directly(run)
    )


def _words(size: tuple[int, ...]) -> str:
    return "x".join(map(str, size))


def _backward(module: torch.nn.Module, maps: list[Tensor]) -> Callable[[], tuple[Tensor, ...]]:
    cotangents = [torch.randn_like(m) for m in maps]
    parameters = list(module.parameters())

    def run() -> tuple[Tensor, ...]:
        return torch.autograd.grad(module.train()(maps), parameters, cotangents)

    return run


def _loss(network: torch.nn.Module, image: Tensor, label: Tensor) -> Callable[[], Tensor]:
    def run() -> Tensor:
        loss = image.new_zeros(())
        for logits in network(image):
            target = F.interpolate(label[:, None].float(), logits.shape[2:], mode="nearest")[:, 0].long()
            loss = loss + F.cross_entropy(logits, target)
        return loss

    return run
