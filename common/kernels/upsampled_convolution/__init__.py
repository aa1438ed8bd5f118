"""A 3x3x3 convolution of a volume whose size was doubled by nearest neighbour, without the large volume.

Eight equal voxels lie under each voxel of x, so the taps that fall on the same one can be summed
beforehand: a transposed convolution of stride 2 with a 4x4x4 kernel, w4 = weight summed over a window of
two along each axis.  Every output voxel then has 8 taps per input channel instead of 27, and the input of
eight times the size is never written.  This form runs on every device.

Formula and axes: :mod:`common.kernels.upsampled_convolution.reference`.
"""

from __future__ import annotations

import os
from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from common.kernels.upsampled_convolution.reference import nearest_upsampled_conv3d_reference

__all__ = ["nearest_upsampled_conv3d", "nearest_upsampled_conv3d_reference"]


def _summed_taps(weight: Tensor) -> Tensor:
    """(C', C, 3, 3, 3) to the transposed convolution's kernel (C, C', 4, 4, 4)."""
    kernel = weight.transpose(0, 1).flip([2, 3, 4])
    kernel = F.pad(kernel, [1, 0]) + F.pad(kernel, [0, 1])
    kernel = F.pad(kernel, [0, 0, 1, 0]) + F.pad(kernel, [0, 0, 0, 1])
    return F.pad(kernel, [0, 0, 0, 0, 1, 0]) + F.pad(kernel, [0, 0, 0, 0, 0, 1])


def _summed(
    x: Tensor,
    weight: Tensor,
    bias: Optional[Tensor],  # noqa: UP045
    fewest_voxels: int = 256,
) -> Tensor:
    """With fewer voxels than ``fewest_voxels``, over the batch, making the larger kernel does not pay off."""
    if x.numel() < fewest_voxels * x.size(1):
        return nearest_upsampled_conv3d_reference(x, weight, bias)
    return F.conv_transpose3d(x, _summed_taps(weight), bias, stride=2, padding=1)


def nearest_upsampled_conv3d(
    x: Tensor,
    weight: Tensor,
    bias: Optional[Tensor],  # noqa: UP045
) -> Tensor:
    """As :func:`nearest_upsampled_conv3d_reference`, with fewer operations and less memory.

    ``COMMON_KERNELS=eager`` in the environment selects the reference.
    """
    if torch.jit.is_scripting():
        return _summed(x, weight, bias)
    else:  # the scripting compiler skips this branch only if it is spelt out
        direct = os.environ.get("COMMON_KERNELS") == "eager"
        return (nearest_upsampled_conv3d_reference if direct else _summed)(x, weight, bias)
