"""Several processes on one training: who am I, on which device, and how do we find one another.

``torchrun`` tells each process through the environment; a process that was started alone is rank 0.
"""

from __future__ import annotations

import os
from collections.abc import Sized

import torch
import torch.distributed as dist
from monai.data import DistributedSampler
from torch.utils.data import Sampler, SequentialSampler

__all__ = ["join", "local_device", "rank", "share", "share_of"]


def rank() -> int:
    """Number of this process among all, from 0."""
    return (
        dist.get_rank() if dist.is_available() and dist.is_initialized() else int(os.environ.get("RANK", "0"))
    )


def local_device() -> torch.device:
    """The GPU that belongs to this process, or the CPU where there is none."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    return device


def join() -> None:
    """Join the process group that ``torchrun`` announced, once: NCCL on GPUs, Gloo on CPUs.

    A process that was started alone has nothing to join, and stays alone.
    """
    if "RANK" in os.environ and not dist.is_initialized():
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")


def share_of(number: int) -> int:
    """Samples that each process draws of ``number``, so that all together make one pass; rounded up."""
    return -(-number // (dist.get_world_size() if dist.is_initialized() else 1))


def share(dataset: Sized) -> Sampler:
    """The cases that this process measures: each case goes to exactly one process.

    With fewer cases than processes every process takes all of them: none may stand idle, since the
    metrics of all are gathered, and repeating all cases equally often leaves the mean unchanged.
    (Padding some processes with a second copy of some cases, as PyTorch's sampler does, would weight
    those double.)
    """
    if dist.is_initialized() and len(dataset) >= dist.get_world_size():
        return DistributedSampler(dataset, even_divisible=False, shuffle=False)
    return SequentialSampler(dataset)
