"""The baseline's windows: a fixed stride, the last one moved back, Gaussian-weighted logits.

The image is padded by reflection, on both sides, to multiples of 8.  A window is no larger than that.  The
weight is a Gaussian about the window's middle whose deviation is an eighth of its side, without a floor.

Axes: B batch, C channels, K classes, *S three spatial ones.
Source: segrap2023/docs/method.md#inference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import torch
from monai.inferers import Inferer
from monai.utils import convert_to_dst_type
from torch import Tensor
from torch.nn import functional

from common.errors import InputError
from common.inference.paired_views import of_both_views
from common.inference.streamed_argmax import argmax_of_windows
from common.tensors.plain import plain
from common.transforms.paired_flip import Pairs

__all__ = ["StrideWindowInferer", "starts", "window_weights"]

_MULTIPLE = 8
_DEVIATION = 1 / 8  # of a side
_LEFT_RIGHT = 2


def starts(side: int, window: int, stride: int) -> list[int]:
    """Where windows start along an axis of ``side >= window`` voxels; the last one ends with it."""
    count = math.ceil((side - window) / stride) + 1
    return [min(number * stride, side - window) for number in range(count)]


def window_weights(window: Sequence[int]) -> Tensor:
    """Weights (*window), the largest 1, float32."""
    weights = torch.ones(tuple(window), dtype=torch.float64)
    for axis, side in enumerate(window):
        place = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
        line = torch.exp(-0.5 * (place / (side * _DEVIATION)) ** 2)
        weights *= line.reshape([-1 if a == axis else 1 for a in range(len(window))])
    return (weights / weights.max()).float()


class _Windows:
    """The windows of one image, sorted along the axis that is streamed, with their weighted logits."""

    def __init__(
        self,
        image: Tensor,
        network: Callable[..., Tensor],
        roi_size: Sequence[int],
        stride: float,
        batch: int,
    ) -> None:
        self.image, self.inside = _padded(plain(image))
        self.network, self.batch = network, batch
        self.sides = tuple(self.image.shape[2:])
        self.window = tuple(min(pair) for pair in zip(roi_size, self.sides, strict=True))
        shares = [part / side for part, side in zip(self.window, self.sides, strict=True)]
        self.axis = shares.index(min(shares))
        steps = [max(1, int(side * stride)) for side in self.window]
        lines = [starts(*one) for one in zip(self.sides, self.window, steps, strict=True)]
        self.corners = sorted(product(*lines), key=lambda corner: corner[self.axis])
        self.weights = window_weights(self.window).to(self.image.device)

    def __iter__(self) -> Iterator[tuple[tuple[int, ...], Tensor]]:
        for first in range(0, len(self.corners), self.batch):
            corners = self.corners[first : first + self.batch]
            yield from zip(corners, self._weighted(corners), strict=True)  # keeps no hold of them

    def _weighted(self, corners: Sequence[tuple[int, ...]]) -> Tensor:
        views = torch.cat([self.image[(..., *self.at(corner))] for corner in corners])
        return self.network(views).float() * self.weights

    def at(self, corner: Sequence[int]) -> tuple[slice, ...]:
        return tuple(slice(low, low + side) for low, side in zip(corner, self.window, strict=True))


def _padded(image: Tensor) -> tuple[Tensor, tuple[slice, ...]]:
    """The image at multiples of 8, and where it lies in that."""
    missing = [-side % _MULTIPLE for side in image.shape[2:]]
    inside = tuple(
        slice(lack // 2, lack // 2 + side) for lack, side in zip(missing, image.shape[2:], strict=True)
    )
    if not any(missing):
        return image, inside
    widths = [width for lack in reversed(missing) for width in (lack // 2, lack - lack // 2)]
    # Reflection needs more voxels than it adds.
    enough = all(max(lack - lack // 2, 0) < side for lack, side in zip(missing, image.shape[2:], strict=True))
    return functional.pad(image, widths, mode="reflect" if enough else "replicate"), inside


class StrideWindowInferer(Inferer):
    """Class probabilities of a whole image, or its classes without a volume of each.

    Args:
        roi_size: the window in voxels.
        stride: from one window to the next, a share of the window, in (0, 1].
        sw_batch_size: windows per call of the network.
        classes: give the likeliest class of each voxel; the same as that of the probabilities, in little
            memory.
        pairs: look at each window's mirror image from left to right too, with these channels exchanged,
            (left, right); None: at the window alone.

    Raises:
        InputError: ``stride`` is not in (0, 1].
    """

    def __init__(
        self,
        roi_size: Sequence[int],
        *,
        stride: float = 1.0,
        sw_batch_size: int = 1,
        classes: bool = False,
        pairs: Pairs | None = None,
    ) -> None:
        super().__init__()
        if not 0 < stride <= 1:
            raise InputError(f"stride = {stride}; expected a share of the window above 0, at most 1")
        self.roi_size, self.stride = tuple(roi_size), stride
        self.sw_batch_size, self.classes, self.pairs = sw_batch_size, classes, pairs

    def __call__(self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """(B, C, *S) of any size to (B, K, *S), float32, which sums to one over K; or (B, 1, *S), uint8."""

        def predict(x: Tensor) -> Tensor:
            return network(x, *args, **kwargs)

        if self.pairs is not None:
            predict = of_both_views(predict, self.pairs, axis=_LEFT_RIGHT)
        one = self._classes if self.classes else self._probabilities
        made = [
            one(_Windows(image[None], predict, self.roi_size, self.stride, self.sw_batch_size))
            for image in inputs
        ]
        found = torch.cat(made)
        return convert_to_dst_type(found, inputs, dtype=found.dtype)[0]

    def _classes(self, windows: _Windows) -> Tensor:
        decided = argmax_of_windows(windows, windows.sides, windows.window, windows.axis)
        return decided[windows.inside][None, None]

    def _probabilities(self, windows: _Windows) -> Tensor:
        total: Tensor | None = None
        weight = windows.weights.new_zeros(windows.sides)
        for corner, weighted in windows:
            if total is None:
                total = weighted.new_zeros((len(weighted), *windows.sides))
            total[(slice(None), *windows.at(corner))] += weighted
            weight[windows.at(corner)] += windows.weights
            del weighted  # before the next windows are predicted
        return total.div_(weight)[(slice(None), *windows.inside)].softmax(dim=0)[None]
