"""nnU-Net's windows: evenly spaced over the image, Gaussian weights, mirrored.

    windows along an axis   ceil((side - patch) / (step * patch)) + 1, starts evenly spaced and rounded
    weight                  a Gaussian of deviation patch / 8 about voxel patch // 2, largest value 1

An image smaller than the patch is padded with zeros on both sides and the result cut back.  MONAI's
``SlidingWindowInferer`` has a fixed stride instead, and moves the last window back.

Axes: B batch, C input channels, K classes, *S two or three spatial ones.
Source: Isensee et al., nnU-Net, Nature Methods 2021, version 1 of the code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import product
from typing import Any

import torch
from monai.data import MetaTensor
from monai.inferers import Inferer
from scipy.ndimage import gaussian_filter1d
from torch import Tensor
from torch.nn import functional

from common.errors import InputError
from common.inference.sliding_window import mirrored_probabilities
from common.tensors.plain import plain

__all__ = ["EvenWindowInferer", "Windows", "even_starts", "gaussian_weights"]

_DEVIATION = 1 / 8  # of the patch


def even_starts(side: int, patch: int, step: float = 0.5) -> list[int]:
    """Where windows start along one axis of ``side >= patch`` voxels; ``step`` is a share of the patch."""
    room = side - patch
    count = math.ceil(room / (step * patch)) + 1
    return [round(room * i / (count - 1)) if count > 1 else 0 for i in range(count)]


@lru_cache(maxsize=8)
def gaussian_weights(patch: tuple[int, ...]) -> Tensor:
    """Weights (*patch) in (0, 1], float32; where the Gaussian underflows, its smallest positive value."""
    weights = torch.ones(patch, dtype=torch.float64)
    for axis, side in enumerate(patch):
        impulse = torch.zeros(side, dtype=torch.float64)
        impulse[side // 2] = 1
        line = torch.from_numpy(gaussian_filter1d(impulse.numpy(), side * _DEVIATION, mode="constant"))
        weights *= line.reshape([-1 if a == axis else 1 for a in range(len(patch))])
    weights = (weights / weights.max()).float()
    weights[weights == 0] = weights[weights > 0].min()
    return weights


class Windows:
    """The windows of one image, and their class probabilities.

    Args:
        image: (1, C, *S).
        network: (B, C, *patch) to logits (B, K, *patch).
        patch: voxels of a window.
        step: from one window to the next, a share of the patch, in (0, 1].
        batch: windows per call of the network.
        mirror_axes: spatial axes of the test-time mirroring.
        order: spatial axis along which windows are visited first to last; the others vary faster.
    """

    def __init__(
        self,
        image: Tensor,
        network: Callable[..., Tensor],
        patch: Sequence[int],
        *,
        step: float = 0.5,
        batch: int = 1,
        mirror_axes: Sequence[int] = (),
        order: int = 0,
    ) -> None:
        self.network, self.patch, self.batch, self.mirror_axes = network, tuple(patch), batch, mirror_axes
        self.image, self.inside = _padded(plain(image), self.patch)
        self.sides = tuple(self.image.shape[2:])
        starts = [even_starts(*pair, step) for pair in zip(self.sides, self.patch, strict=True)]
        self.corners = sorted(product(*starts), key=lambda corner: corner[order])
        # A single window needs no weights.
        one = len(self.corners) == 1
        self.weights = torch.ones(self.patch) if one else gaussian_weights(self.patch)

    def __iter__(self) -> Iterator[tuple[tuple[int, ...], Tensor]]:
        """Each window's first voxel and its weighted probabilities (K, *patch), in order."""
        weights = self.weights.to(self.image.device)
        for first in range(0, len(self.corners), self.batch):
            corners = self.corners[first : first + self.batch]
            yield from zip(corners, self._weighted(corners, weights), strict=True)  # keeps no hold of them

    def _weighted(self, corners: Sequence[tuple[int, ...]], weights: Tensor) -> Tensor:
        """Weighted probabilities of these windows, (B, K, *patch)."""
        views = torch.cat([self.image[self._at(corner)] for corner in corners])
        return mirrored_probabilities(self.network, views, self.mirror_axes).float().mul_(weights)

    def _at(self, corner: tuple[int, ...]) -> tuple[slice, ...]:
        spatial = [slice(low, low + side) for low, side in zip(corner, self.patch, strict=True)]
        return (slice(None), slice(None), *spatial)


def _padded(image: Tensor, patch: Sequence[int]) -> tuple[Tensor, tuple[slice, ...]]:
    """The image with zeros on both sides up to the patch, and where the image lies in it."""
    missing = [max(p - side, 0) for side, p in zip(image.shape[2:], patch, strict=True)]
    inside = tuple(
        slice(lack // 2, lack // 2 + side) for lack, side in zip(missing, image.shape[2:], strict=True)
    )
    widths = [width for lack in reversed(missing) for width in (lack // 2, lack - lack // 2)]
    return (functional.pad(image, widths) if any(widths) else image), inside


class EvenWindowInferer(Inferer):
    """Class probabilities of a whole image, by nnU-Net's windows.

    Args:
        roi_size: the patch in voxels.
        step: from one window to the next, a share of the patch, in (0, 1].
        sw_batch_size: windows per call of the network.
        mirror_axes: spatial axes of the test-time mirroring.

    Raises:
        InputError: ``step`` is not in (0, 1].
    """

    def __init__(
        self,
        roi_size: Sequence[int],
        *,
        step: float = 0.5,
        sw_batch_size: int = 1,
        mirror_axes: Sequence[int] = (),
    ) -> None:
        super().__init__()
        if not 0 < step <= 1:
            raise InputError(f"step = {step}; expected a share of the patch above 0, at most 1")
        self.roi_size, self.step = tuple(roi_size), step
        self.sw_batch_size, self.mirror_axes = sw_batch_size, tuple(mirror_axes)

    def __call__(self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """(B, C, *S) of any size to probabilities (B, K, *S), float32, with the metadata of the inputs."""
        found = [self._one(image[None], network, *args, **kwargs) for image in plain(inputs)]
        whole = found[0] if len(found) == 1 else torch.cat(found)
        return MetaTensor(whole).copy_meta_from(inputs) if isinstance(inputs, MetaTensor) else whole

    def _one(self, image: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        def predict(x: Tensor) -> Tensor:
            return network(x, *args, **kwargs)

        windows = Windows(
            image,
            predict,
            self.roi_size,
            step=self.step,
            batch=self.sw_batch_size,
            mirror_axes=self.mirror_axes,
        )
        total = weight = image.new_zeros(())
        for corner, weighted in windows:
            if total.ndim == 0:
                total = weighted.new_zeros((len(weighted), *windows.sides))
                weight = weighted.new_zeros(windows.sides)
            at = tuple(slice(low, low + side) for low, side in zip(corner, self.roi_size, strict=True))
            total[(slice(None), *at)] += weighted
            weight[at] += windows.weights.to(weight.device)
            del weighted  # before the next windows are predicted
        return total.div_(weight)[(slice(None), *windows.inside)][None]
