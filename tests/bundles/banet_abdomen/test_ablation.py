"""Why two resolutions are averaged: banet_abdomen/docs/method.md#how-to-know-it-works.

On synthetic slices, with narrow networks in 2D; the mean of three seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

import common  # noqa: F401 (makes bundles importable)
from common.losses.boundary_aware import BoundaryAwareLoss
from common.networks.boundary_unet.network import BoundaryUNet
from common.transforms.boundary import inner_boundary

SIDE, CLASSES, SEEDS = 64, 3, 3
Batch = tuple[Tensor, Tensor]
Draw = Callable[[torch.Generator], Batch]


def scan(generator: torch.Generator) -> Batch:
    """A large disc, 1, and small ones of the same intensity, 2, in noise: image and label (1, 1, H, W)."""
    y, x = torch.meshgrid(*[torch.arange(float(SIDE))] * 2, indexing="ij")
    label = torch.zeros(SIDE, SIDE, dtype=torch.long)
    places = torch.rand(9, 2, generator=generator)
    centre = 20 + 24 * places[0]
    label[(y - centre[0]) ** 2 + (x - centre[1]) ** 2 < 16**2] = 1
    for centre in 4 + (SIDE - 8) * places[1:]:
        far = (y - centre[0]) ** 2 + (x - centre[1]) ** 2
        if not label[far < 5**2].any():
            label[far < 2.6**2] = 2
    contrast = 0.7 + 0.9 * torch.rand(1, generator=generator)
    image = contrast * (label > 0) + 0.6 * torch.randn(label.shape, generator=generator)
    return image[None, None], label[None, None]


def together(scans: Iterable[Batch]) -> Batch:
    images, labels = zip(*scans, strict=True)
    return torch.cat(images), torch.cat(labels)


def pair(generator: torch.Generator) -> Batch:
    return together(scan(generator) for _ in range(2))


def coarse(image: Tensor, label: Tensor) -> Batch:
    """At half the resolution."""
    shares = functional.one_hot(label[:, 0], CLASSES).permute(0, 3, 1, 2).float()
    return functional.avg_pool2d(image, 2), functional.avg_pool2d(shares, 2).argmax(1, keepdim=True)


def trained(draw: Draw, steps: int, seed: int) -> BoundaryUNet:
    torch.manual_seed(seed)
    network = BoundaryUNet(1, CLASSES, dims=2, widths=(8, 16), strides=(2,))
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    loss, generator = BoundaryAwareLoss(batch=True), torch.Generator().manual_seed(seed)
    for _ in range(steps):
        image, label = draw(generator)
        optimizer.zero_grad()
        target = {"classes": label, "boundary": inner_boundary(label).to(label.dtype)}
        loss(network(image), target).backward()
        optimizer.step()
    return network.eval()


def dice(probabilities: Tensor, label: Tensor) -> float:
    """Mean over the classes but the first."""
    found = probabilities.argmax(1, keepdim=True)
    scores = [
        2 * ((found == c) & (label == c)).sum() / ((found == c).sum() + (label == c).sum())
        for c in range(1, CLASSES)
    ]
    return float(sum(scores) / len(scores))


@pytest.mark.full
def test_the_mean_of_two_resolutions_is_better_than_either():
    full, low, both = 0.0, 0.0, 0.0
    for seed in range(SEEDS):
        fine = trained(pair, 60, seed)
        wide = trained(lambda generator: coarse(*pair(generator)), 60, seed)
        image, label = together(scan(torch.Generator().manual_seed(1000 + i)) for i in range(10))
        with torch.no_grad():
            at_full = fine(image).softmax(1)
            at_low = wide(functional.avg_pool2d(image, 2)).softmax(1)
        at_low = functional.interpolate(at_low, scale_factor=2.0, mode="bilinear", align_corners=False)
        full += dice(at_full, label) / SEEDS
        low += dice(at_low, label) / SEEDS
        both += dice((at_full + at_low) / 2, label) / SEEDS
    assert both > max(full, low) + 0.01, (full, low, both)
