"""Two textured blobs that slide past each other: are they registered better when they are told apart?

    python -m benchmarks.comparisons.moving_blobs --seeds 3 --steps 60 --target OUT

Every network is optimised on one pair for the same number of steps: three regions of the Gaussian mixture,
the same network with random regions, and one region (an encoder that sees the whole image, as wide as each of
the three).  The paper claims that division by structure helps.

Source: easr_dcn/docs/method.md#how-to-know-it-works.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from torch import Tensor

import common  # noqa: F401 (puts the bundles on sys.path)
from common.commands import run_commands
from common.evaluation.tables import format_table, write_rows
from common.registration.jacobian import folded_share
from common.registration.local_correlation import LocalCorrelationLoss
from common.registration.smoothness import SmoothnessLoss
from common.registration.warp import warp

DivideAndConquerNet = importlib.import_module("easr_dcn.network").DivideAndConquerNet
regions_of = importlib.import_module("easr_dcn.regions")

SHAPE = (16, 32, 16)
RADIUS, SHIFT = 4.0, 2.5  # voxels; each blob moves so far, one forwards, one backwards
LEVELS = (0.5, 0.9)  # brightness; the background has 0.1
METHODS = ("mixture", "random", "one_region")


def blobs(seed: int) -> tuple[Tensor, Tensor]:
    """A pair (1, 2, *SHAPE) in 0..1, and the masks of both blobs (1, 4, *SHAPE): moving A, B, fixed A, B."""
    g = torch.Generator().manual_seed(seed)
    axes = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in SHAPE), indexing="ij")
    waves = 0.5 + 0.9 * torch.rand(6, 3, generator=g)
    phases = 6.3 * torch.rand(6, generator=g)
    images, masks = [], []
    for half in (-0.5, 0.5):  # of the way: moving and fixed
        image = torch.full(SHAPE, 0.1)
        for middle, level, direction in ((4.0, LEVELS[0], 1.0), (12.0, LEVELS[1], -1.0)):
            centre = SHAPE[1] / 2 + half * direction * SHIFT
            place = torch.stack([axes[0] - middle, axes[1] - centre, axes[2] - SHAPE[2] / 2])
            inside = place.norm(dim=0) < RADIUS
            texture = torch.einsum("wi,i...->w...", waves, place) + phases[:, None, None, None]
            image = torch.where(inside, level + 0.03 * texture.sin().sum(0) / 6**0.5, image)
            masks.append(inside.float())
        images.append(image + 0.01 * torch.randn(SHAPE, generator=g))
    return torch.stack(images)[None].clamp(0, 1), torch.stack(masks)[None]


def _field(method: str, pair: Tensor) -> tuple[torch.nn.Module, Callable[[], Tensor]]:
    """The network, and the call that gives its displacement."""
    network = DivideAndConquerNet(1 if method == "one_region" else 3)
    if method == "random":
        labels = regions_of.random_label_maps(pair, network.regions)
    else:
        labels = regions_of.label_maps(pair, network.regions)
    parts = regions_of.region_pairs(pair, labels, network.regions)
    return network, lambda: network.field(parts)


def register(
    method: str, *, seed: int, steps: int, learning_rate: float, smoothness: float
) -> dict[str, Any]:
    """Optimise one network on one pair; Dice of the blobs, folds and loss at the end."""
    pair, masks = blobs(seed)
    torch.manual_seed(seed)
    network, field = _field(method, pair)
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    similarity, roughness = LocalCorrelationLoss(), SmoothnessLoss()
    for _ in range(steps):
        displacement = field()
        loss = similarity(warp(pair[:, :1], displacement), pair[:, 1:]) + smoothness * roughness(displacement)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        displacement = field()
        warped = warp(masks[:, :2], displacement, mode="nearest")
    return {
        "method": method,
        "seed": seed,
        "dice_before": _dice(masks[:, :2], masks[:, 2:]),
        "dice": _dice(warped, masks[:, 2:]),
        "folded_share": float(folded_share(displacement)),
        "loss": float(loss.detach()),
    }


def _dice(one: Tensor, other: Tensor) -> float:
    axes = (2, 3, 4)
    return float((2 * (one * other).sum(axes) / (one + other).sum(axes)).mean())


def run(
    *,
    target: str,
    seeds: int = 3,
    steps: int = 60,
    learning_rate: float = 1e-3,
    smoothness: float = 0.1,
) -> str:
    """The table of all methods: mean and standard deviation over the seeds.

    Args:
        target: ``moving_blobs.csv`` with every run goes there.
        seeds: pairs and weights drawn.
        steps: of Adam on each pair.
        learning_rate: of Adam.
        smoothness: weight of the roughness.
    """
    settings = {"steps": steps, "learning_rate": learning_rate, "smoothness": smoothness}
    rows = [register(method, seed=seed, **settings) for seed in range(seeds) for method in METHODS]
    write_rows(Path(target) / "moving_blobs.csv", rows)
    return format_table([_summary([row for row in rows if row["method"] == method]) for method in METHODS])


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    summary: dict[str, Any] = {"method": rows[0]["method"], "seeds": len(rows)}
    for key in ("dice_before", "dice", "folded_share", "loss"):
        values = [row[key] for row in rows]
        summary |= {key: fmean(values), f"{key}_sd": stdev(values) if len(values) > 1 else None}
    return summary


if __name__ == "__main__":
    run_commands(run, name="python -m benchmarks.comparisons.moving_blobs")
