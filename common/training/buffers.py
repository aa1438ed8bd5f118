"""Running statistics of batch norms in a training of several processes."""

from __future__ import annotations

import torch.distributed as dist
from ignite.engine import Engine, Events
from torch import nn

__all__ = ["AverageBuffers"]


class AverageBuffers:
    """After the last iteration of an epoch, average the network's floating-point buffers over all processes.

    Each process has seen different batches.  ``DistributedDataParallel`` would copy the first process's
    buffers at every forward pass, even in a validation, where processes make different numbers of passes
    and would wait for one another for ever; give it ``broadcast_buffers=False`` beside this handler.

    Args:
        network: the network whose buffers are averaged.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def attach(self, engine: Engine) -> None:
        """Act before the handlers of the epoch's end, the validation among them."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Average at the epoch's last iteration."""
        if engine.state.iteration % engine.state.epoch_length:
            return
        for buffer in self.network.buffers():
            if buffer.is_floating_point():
                dist.all_reduce(buffer)
                buffer /= dist.get_world_size()
