"""A 3x3x3 convolution of a volume whose size was doubled by nearest neighbour, in plain PyTorch.

    out = conv(repeat(x, 2 along each axis), weight, padding=1) + bias

Axes: B batch, C channels, (X, Y, Z).
"""

from __future__ import annotations

from typing import Optional

import torch.nn.functional as F
from torch import Tensor

__all__ = ["nearest_upsampled_conv3d_reference"]


def nearest_upsampled_conv3d_reference(
    x: Tensor,
    weight: Tensor,
    bias: Optional[Tensor],  # noqa: UP045 (TorchScript reads this)
) -> Tensor:
    """The definition.

    Args:
        x: (B, C, X, Y, Z).
        weight: (C', C, 3, 3, 3).
        bias: (C',) or none.

    Returns:
        (B, C', 2X, 2Y, 2Z).
    """
    return F.conv3d(F.interpolate(x, scale_factor=2.0, mode="nearest"), weight, bias, padding=1)
