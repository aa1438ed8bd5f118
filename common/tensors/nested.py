"""Nested classes: each sigmoid channel holds a class together with those inside it.

Of K classes with background the network has K - 1 channels.  Fundus: channel 0 is the disc with the
cup, channel 1 the cup; the label map on disk has 0 background, 1 disc rim, 2 cup.

Axes: C = K - 1 channels, *S spatial.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["nested_channels", "nested_label"]


def nested_channels(label: Tensor, num_classes: int, *, dim: int = 0) -> Tensor:
    """Label map with an axis of 1 at ``dim`` to K - 1 channels there, uint8: channel c is label > c."""
    return torch.cat([label > c for c in range(num_classes - 1)], dim=dim).to(torch.uint8)


def nested_label(channels: Tensor) -> Tensor:
    """Channels (C, *S) of 0 and 1 to a label map (1, *S) uint8.

    A pixel belongs to an inner class only where it belongs to all those around it: a cup outside the
    disc is no cup.
    """
    return channels.to(torch.uint8).cumprod(dim=0).sum(dim=0, keepdim=True).to(torch.uint8)
