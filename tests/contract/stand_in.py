"""Parts that tests put into a bundle's configs: networks with known output, a sudden end, one seed."""

from __future__ import annotations

import os

import torch
from ignite.engine import Engine, Events
from torch import Tensor, nn

from common.training import seeding, two_stream


class BandNetwork(nn.Module):
    """The share of each class in a voxel, from its intensity; the centres are weights, to be loaded.

    Between two centres both classes have a share, as in a voxel on a surface and in a network's output there.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.centres = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[1] == self.in_channels
        gap = self.centres.sort().values.diff().min()
        share = 1 - (x[:, :1] - self.centres[None, :, None, None, None]).abs() / gap
        return share.clamp_min(1e-6).log()


class NestedBandNetwork(nn.Module):
    """Nested channels: one class for every threshold that a pixel's intensity reaches."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.thresholds = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[1] == self.in_channels
        return x[:, :1] - self.thresholds[None, :, None, None]


class PowerCut:
    """Ends the process after an epoch like a power cut: nothing more is closed or written."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.EPOCH_STARTED(once=self.epoch + 1), lambda: os._exit(9))


class SeedOfEveryProcess(seeding.EpochSeed):
    """All processes of a run draw the same batches and patches, like a run with one process."""

    def attach(self, engine: Engine) -> None:
        two_stream.get_rank, two_stream.get_world_size = (lambda: 0), (lambda: 1)
        super().attach(engine)

    def __call__(self, engine: Engine) -> None:
        rank, seeding.get_rank = seeding.get_rank, lambda: 0
        super().__call__(engine)
        seeding.get_rank = rank
