"""GraTa: an image adapted to and predicted, beside its plain prediction and the published order of work.

"direct" of the first comparison is one pass of the source network: its ratio is the price of adapting.  In
the second it is the same step as the authors order it: batch norm in training mode, ``backward`` twice, the
six views one after the other.
"""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import common  # noqa: F401 (puts the bundles on sys.path)
from benchmarks.speed.bundles.vptta import source_training
from benchmarks.speed.calls import prediction
from benchmarks.speed.measure import Case

GraTaNet = importlib.import_module("grata.network").GraTaNet  # once common has made it findable
GradientAlignmentInferer = importlib.import_module("grata.inferer").GradientAlignmentInferer
style = importlib.import_module("grata.style")
views = importlib.import_module("grata.views")


def cases(*, quick: bool, device: str) -> Iterator[Case]:
    """Growing images; 512 is the published size."""
    torch.manual_seed(0)
    network = GraTaNet().to(device).eval()
    on_cpu = torch.device(device).type == "cpu"
    for size in (64, 96) if quick else (128, 256, 512):
        image = torch.rand(1, 3, size, size, device=device)
        shared = {"size": f"3 x {size}^2", "tokens": size * size}
        ours = _adapting(network, image)
        plain = prediction(network, image)
        yield Case(what="beside plain prediction", ours=ours, direct=plain, compilable=False, **shared)
        published = PublishedOrder(network)
        compiled = _adapting(network, image, compiled=True, views_at_once=1)
        yield Case(
            what="beside the published order",
            ours=ours,
            direct=lambda: published(image),  # noqa: B023 (measured before the next size)
            compiled=compiled,
            **shared,
        )
    yield from source_training(GraTaNet().to(device), (64,) if on_cpu else (256, 512))


def _adapting(
    network: nn.Module, image: Tensor, *, compiled: bool = False, **settings: int
) -> Callable[[], Tensor]:
    inferer = GradientAlignmentInferer(**settings)
    inferer(image, network)  # makes its copy of the network
    if compiled:
        inferer.network = torch.compile(inferer.network, dynamic=False)

    def run() -> Tensor:
        return inferer(image, network)

    return run


class PublishedOrder:
    """The published step, operation by operation, on a copy of a network; the styles are drawn as ours.

    Source: grata/docs/method.md#one-adaptation-step.
    """

    def __init__(self, network: nn.Module, *, lr: float = 1e-4) -> None:
        self.network, self.lr = copy.deepcopy(network).train().requires_grad_(False), lr
        self.parameters: list[nn.Parameter] = []
        for norm in self.network.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.track_running_stats, norm.running_mean, norm.running_var = False, None, None
                self.parameters += [norm.weight.requires_grad_(), norm.bias.requires_grad_()]
        self.optimizer = torch.optim.Adam(self.parameters, lr=lr)
        self.draw = style.StyleDraw(torch.Generator().manual_seed(0))

    def __call__(self, image: Tensor) -> Tensor:
        """(1, C, H, W) in [0, 1] to logits (1, K, H, W), once adapted to."""
        self.optimizer.zero_grad()
        p = self.network(image).sigmoid()
        (-p * (p + 1e-6).log()).sum(1).mean().backward()
        auxiliary = [p.grad.clone() for p in self.parameters]
        originals = [p.detach().clone() for p in self.parameters]
        with torch.no_grad():
            for parameter, gradient in zip(self.parameters, auxiliary, strict=True):
                parameter.sub_(gradient)
        self.optimizer.zero_grad()
        strong = style.min_max(style.restyle(image, self.draw(image.shape[1:])))
        with torch.no_grad():
            pairs = zip(views.VIEWS, views.INVERSES, strict=True)
            soft_label = torch.stack(
                [back(self.network(view(image))).sigmoid() for view, back in pairs]
            ).mean(0)
        F.binary_cross_entropy_with_logits(self.network(strong), soft_label).backward()
        pseudo = [p.grad for p in self.parameters]
        with torch.no_grad():
            for parameter, original in zip(self.parameters, originals, strict=True):
                parameter.copy_(original)
        a, b = (torch.cat([g.flatten() for g in of]) for of in (auxiliary, pseudo))
        agreement = (a.dot(b) / (a.norm() * b.norm() + 1e-12)).item()
        self.optimizer.param_groups[0]["lr"] = self.lr * ((agreement + 1) / 2) ** 2
        self.optimizer.step()
        with torch.no_grad():
            return self.network(image)
