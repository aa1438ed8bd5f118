"""Several processes on one training: who am I, on which device, and how do we find one another.

``torchrun`` tells each process through the environment; a process that was started alone is rank 0.
"""

from __future__ import annotations

import os

import torch
import torch.distributed as dist

__all__ = ["join", "local_device", "rank"]


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
    """Join the process group that ``torchrun`` announced, once: NCCL on GPUs, Gloo on CPUs."""
    if not dist.is_initialized():
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
