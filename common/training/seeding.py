"""Random numbers that depend on seed and epoch alone, so that a resumed run equals an unbroken one."""

from __future__ import annotations

import torch
from ignite.distributed import get_rank
from ignite.engine import Engine, Events
from monai.data.utils import set_rnd

__all__ = ["EpochSeed"]

_RANK_STEP = 1_000_003  # so that processes never draw the same patches


class EpochSeed:
    """Seed torch, and the random transforms of the trainer's data set, at the start of every epoch.

    Worker processes draw their seeds from torch's generator, so they follow.  A batch sampler with
    ``set_epoch`` is told the epoch.

    Args:
        seed: the run's seed; epoch e uses ``seed + e``, and every process of a
            distributed run its own offset.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def attach(self, engine: Engine) -> None:
        """Act before the first batch of every epoch is drawn."""
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Seed for ``engine.state.epoch``."""
        seed = self.seed + engine.state.epoch + _RANK_STEP * get_rank()
        torch.manual_seed(seed)
        set_rnd(engine.data_loader.dataset, seed)
        batch_sampler = getattr(engine.data_loader, "batch_sampler", None)
        if hasattr(batch_sampler, "set_epoch"):
            batch_sampler.set_epoch(engine.state.epoch)
