"""Sliding-window inference with uniform weights and whole-number strides.

A window starts at min(stride * i, side - patch) for i = 0 .. ceil((side - patch) / stride) along
each axis; probabilities are averaged with equal weights.  A volume smaller than the patch is
padded with zeros on both sides and the result cut back.

Axes: B batch, C input channels, K classes, (D, H, W) or (H, W).
Source: the semi-supervised left atrium benchmark, mcnet_plus/docs/method.md#windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from common.errors import InputError
from common.inference.sliding_window import ProbabilityWindowInferer

__all__ = ["UniformWindowInferer", "window_starts"]


def window_starts(side: int, patch: int, stride: int) -> list[int]:
    """Where windows start along one axis, in voxels from its first (after padding)."""
    room = max(side - patch, 0)
    return [min(stride * i, room) for i in range(-(-room // stride) + 1)]


class UniformWindowInferer(ProbabilityWindowInferer):
    """``ProbabilityWindowInferer`` with equal weights, and a stride instead of an overlap.

    MONAI steps by ``int(patch * (1 - overlap))`` voxels, and then starts its windows as above.

    Args:
        roi_size: the patch in voxels, one number per axis.
        stride: voxels from one window to the next, one number per axis, 1..patch.
        arguments: those of ``ProbabilityWindowInferer`` except ``overlap``, ``mode``, ``padding_mode``.

    Raises:
        InputError: a stride is not a whole number within 1..patch.
    """

    def __init__(self, roi_size: Sequence[int], stride: Sequence[int], **arguments: Any) -> None:
        if len(stride) != len(roi_size) or not all(
            isinstance(s, int) and 1 <= s <= p for s, p in zip(stride, roi_size, strict=True)
        ):
            raise InputError(
                f"stride = {list(stride)}; expected a whole number per axis, 1 to the patch {list(roi_size)}"
            )
        # Half a voxel more, which int() cuts off again, so that rounding errors cannot change the result.
        overlap = [1 - (s + 0.5) / p if s < p else 0.0 for s, p in zip(stride, roi_size, strict=True)]
        super().__init__(roi_size, overlap=overlap, mode="constant", padding_mode="constant", **arguments)
        self.stride = tuple(stride)
