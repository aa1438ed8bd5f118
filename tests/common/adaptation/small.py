"""A small untrained network with batch norm, and a stream of images for it."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SmallNetwork(nn.Module):
    """Two parts with one batch norm each; running statistics that differ from any image's."""

    def __init__(self, out_channels: int = 2, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.encoder = nn.Sequential(
                nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True)
            )
            self.decoder = nn.Sequential(
                nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, out_channels, 1)
            )
            for norm in (self.encoder[1], self.decoder[1]):
                nn.init.normal_(norm.running_mean, std=0.2)
                nn.init.uniform_(norm.running_var, 0.5, 1.5)
                nn.init.normal_(norm.weight, 1, 0.1)
                nn.init.normal_(norm.bias, std=0.1)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


def stream(images: int = 4, size: int = 24, seed: int = 0) -> Tensor:
    """Images (N, 3, H, W) in [0, 1]."""
    g = torch.Generator().manual_seed(seed)
    colours = torch.rand(images, 3, 1, 1, generator=g)
    return (colours + 0.3 * torch.rand(images, 3, size, size, generator=g)).clamp(0, 1)
