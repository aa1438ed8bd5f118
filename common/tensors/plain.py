"""Tensors without MONAI's metadata, which would slow every operation down."""

from __future__ import annotations

from monai.data import MetaTensor
from torch import Tensor

__all__ = ["plain"]


def plain(x: Tensor) -> Tensor:
    """The same values without MONAI's metadata."""
    return x.as_tensor() if isinstance(x, MetaTensor) else x
