"""EASR-DCN: prediction, similarity and encoders, each beside the form in which it is published.

"direct" is the network of one region (a plain U-Net), one encoder after the other instead of a grouped stack,
and window sums of 729 values instead of sums of sums.  "compiled" of the network is that of three regions.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

import common  # noqa: F401 (puts the bundles on sys.path)
from benchmarks.speed.calls import compiled_directly, prediction, training_step
from benchmarks.speed.measure import Case
from common.registration.local_correlation import local_squared_correlation

network = importlib.import_module("easr_dcn.network")  # once common has made it findable
losses = importlib.import_module("easr_dcn.losses")

REGIONS = 3


def cases(*, quick: bool, device: str) -> Iterator[Case]:
    """Growing volumes; on a GPU up to that of OASIS."""
    torch.manual_seed(0)
    on_cpu = torch.device(device).type == "cpu"
    small, large = ((16, 32, 32), (32, 32, 32)), ((80, 96, 112), (160, 192, 224))
    whole = network.DivideAndConquerNet(REGIONS).to(device).eval()
    plain = network.DivideAndConquerNet(1).to(device).eval()
    apart = SeparateEncoders(whole.encoders).to(device).eval()
    loss = losses.RegistrationLoss()
    for shape in ((16, 16, 16), (16, 16, 32)) if quick else small if on_cpu else large:
        size, voxels = "x".join(map(str, shape)), shape[0] * shape[1] * shape[2]
        pair = torch.rand(1, 2, *shape, device=device)
        regions = torch.rand(1, 2 * REGIONS, *shape, device=device)
        moving = torch.rand(1, 1, *shape, device=device)
        named = {"size": size, "tokens": voxels}
        target = torch.cat([pair, torch.zeros_like(pair)], 1)  # and no labels
        steps = [
            training_step(net, lambda net=net, x=pair, y=target: loss(net(x), y)) for net in (whole, plain)
        ]
        for what, ours, direct in (
            ("prediction", prediction(whole, pair), prediction(plain, pair)),
            ("training step", *steps),
        ):
            yield Case(
                what=f"{what}, three regions beside one",
                ours=ours,
                direct=direct,
                compiled=compiled_directly(ours),
                **named,
            )
        yield Case(
            what="encoders, grouped beside separate, forward",
            ours=prediction(whole.encoders, regions),
            direct=prediction(apart, regions),
            **named,
        )
        yield Case(
            what="encoders, grouped beside separate, forward + backward",
            ours=_with_gradient(lambda x=regions: whole.encoders(x), whole.encoders),
            direct=_with_gradient(lambda x=regions: apart(x), apart),
            **named,
        )
        yield Case(
            what="local correlation 9^3, sums of sums beside 729 values, forward + backward",
            ours=_correlation(moving, direct=False),
            direct=_correlation(moving, direct=True),
            **named,
        )


class SeparateEncoders(nn.ModuleList):
    """The encoders of a grouped stack as networks of their own, with the same weights."""

    def __init__(self, encoders: nn.Module) -> None:
        super().__init__(network.RegionEncoders(1, normalized=False) for _ in range(REGIONS))
        for region, encoder in enumerate(self):
            encoder.load_state_dict({k: v.chunk(REGIONS)[region] for k, v in encoders.state_dict().items()})

    def forward(self, regions: Tensor) -> list[Tensor]:
        """What the grouped stack gives: the maps of all encoders, scale by scale."""
        maps = [encoder(part) for encoder, part in zip(self, regions.chunk(REGIONS, 1), strict=True)]
        return [torch.cat(scale, 1) for scale in zip(*maps, strict=True)]


def _with_gradient(run: Callable[[], list[Tensor]], module: nn.Module) -> Callable[[], Any]:
    parameters = list(module.parameters())

    def once() -> tuple[Tensor, ...]:
        return torch.autograd.grad(sum(scale.square().mean() for scale in run()), parameters)

    return once


def _correlation(moving: Tensor, *, direct: bool) -> Callable[[], Any]:
    fixed = moving.flip(2)
    moving = moving.clone().requires_grad_()

    def once() -> tuple[Tensor, ...]:
        return torch.autograd.grad(local_squared_correlation(moving, fixed, direct=direct).mean(), moving)

    return once
