"""EASR-DCN: prediction, similarity and encoders, each beside the form in which it is published.

"direct" is the network of one region (a plain U-Net), one encoder after the other instead of a grouped stack,
and window sums of 729 values instead of sums of sums.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

import common  # noqa: F401 (puts the bundles on sys.path)
from benchmarks.measure import Case
from common.registration.local_correlation import local_squared_correlation

network = importlib.import_module("easr_dcn.network")  # once common has made it findable

REGIONS = 3


def cases(*, quick: bool, device: str) -> Iterator[Case]:
    """Growing volumes; on a GPU up to that of OASIS."""
    torch.manual_seed(0)
    on_cpu = torch.device(device).type == "cpu"
    small, large = ((32, 32, 32), (32, 48, 48)), ((80, 96, 112), (160, 192, 224))
    whole = network.DivideAndConquerNet(REGIONS).to(device).eval()
    plain = network.DivideAndConquerNet(1).to(device).eval()
    apart = _separate(whole.encoders).to(device).eval()
    for shape in ((16, 16, 16),) if quick else small if on_cpu else large:
        size, voxels = "x".join(map(str, shape)), shape[0] * shape[1] * shape[2]
        pair = torch.rand(1, 2, *shape, device=device)
        regions = torch.rand(1, 2 * REGIONS, *shape, device=device)
        moving = torch.rand(1, 1, *shape, device=device)
        named = {"size": size, "tokens": voxels}
        yield Case(
            what="prediction, three regions beside one",
            ours=_without_gradient(lambda x=pair: whole(x)),
            direct=_without_gradient(lambda x=pair: plain(x)),
            **named,
        )
        yield Case(
            what="encoders, grouped beside separate, forward",
            ours=_without_gradient(lambda x=regions: whole.encoders(x)),
            direct=_without_gradient(lambda x=regions: _one_by_one(apart, x)),
            **named,
        )
        yield Case(
            what="encoders, grouped beside separate, forward + backward",
            ours=_with_gradient(lambda x=regions: whole.encoders(x), whole.encoders),
            direct=_with_gradient(lambda x=regions: _one_by_one(apart, x), apart),
            **named,
        )
        yield Case(
            what="local correlation 9^3, sums of sums beside 729 values, forward + backward",
            ours=_correlation(moving, direct=False),
            direct=_correlation(moving, direct=True),
            **named,
        )


def _separate(encoders: nn.Module) -> nn.ModuleList:
    """The encoders of a grouped stack as networks of their own, with the same weights."""
    alone = nn.ModuleList(network.RegionEncoders(1, normalized=False) for _ in range(REGIONS))
    for region, encoder in enumerate(alone):
        encoder.load_state_dict({k: v.chunk(REGIONS)[region] for k, v in encoders.state_dict().items()})
    return alone


def _one_by_one(encoders: nn.ModuleList, regions: Tensor) -> list[Tensor]:
    """What the grouped stack gives: the maps of all encoders, scale by scale."""
    maps = [encoder(part) for encoder, part in zip(encoders, regions.chunk(REGIONS, 1), strict=True)]
    return [torch.cat(scale, 1) for scale in zip(*maps, strict=True)]


def _without_gradient(run: Callable[[], object]) -> Callable[[], None]:
    @torch.no_grad()
    def once() -> None:
        run()

    return once


def _with_gradient(run: Callable[[], list[Tensor]], module: nn.Module) -> Callable[[], None]:
    parameters = list(module.parameters())

    def once() -> None:
        torch.autograd.grad(sum(scale.square().mean() for scale in run()), parameters)

    return once


def _correlation(moving: Tensor, *, direct: bool) -> Callable[[], None]:
    fixed = moving.flip(2)
    moving = moving.clone().requires_grad_()

    def once() -> None:
        torch.autograd.grad(local_squared_correlation(moving, fixed, direct=direct).mean(), moving)

    return once
