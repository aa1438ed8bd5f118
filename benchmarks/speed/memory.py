"""Peak memory of a call: what it holds at its worst moment beyond what was there before.

On the CPU every allocation and release of the tensor allocator is counted, temporaries inside an
operator included, so the figure is the same on every run and does not depend on what else the machine
does.  On CUDA it is the caching allocator's own peak.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import accumulate
from typing import Any

import torch

# The profiler reports each of its starts and stops on stderr unless told so before its first one.
os.environ.setdefault("KINETO_LOG_LEVEL", "99")

__all__ = ["peak_bytes"]


def peak_bytes(call: Callable[[], Any], *, device: str | torch.device = "cpu", warm_up: bool = True) -> int:
    """Largest number of bytes that ``call()`` held at one time; its result counts while it is alive.

    Args:
        call: what to measure.
        device: where the tensors are; "cpu" or a CUDA device.
        warm_up: run it once unmeasured, so that what libraries set up on first use does not count.
    """
    if warm_up:
        call()
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as record:
        call()
    events = [e for e in record.profiler.kineto_results.events() if e.name() == "[memory]"]
    events.sort(key=lambda e: e.start_ns())
    return max(accumulate((e.nbytes() for e in events), initial=0))
