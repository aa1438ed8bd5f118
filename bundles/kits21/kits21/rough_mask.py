"""Roughen the masks of a coarse stage, so that the fine stage does not just copy them.

Channels C of masks that exclude one another, (D, H, W).  Source:
kits21/docs/method.md#cascade-input.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, Randomizable
from scipy import ndimage
from scipy.signal import fftconvolve
from torch import Tensor

from common.tensors.plain import plain

__all__ = ["OPERATIONS", "RandRoughMaskd", "ball", "roughen"]

OPERATIONS = ("dilation", "erosion", "closing", "opening")
_ALL_NEIGHBOURS = np.ones((3, 3, 3))


def ball(radius: float) -> np.ndarray:
    """A ball of scikit-image's width: int(2 radius + 1) voxels, which may be even."""
    line = np.linspace(-radius, radius, int(2 * radius + 1))
    return line[:, None, None] ** 2 + line[:, None] ** 2 + line**2 <= radius**2


def roughen(mask: np.ndarray, operation: str, element: np.ndarray) -> np.ndarray:
    """A mask (D, H, W) dilated, eroded, closed or opened; voxels beyond the border have no effect.

    Args:
        mask: of bool.
        operation: one of ``OPERATIONS``.
        element: of bool; through Fourier transforms its size costs nothing.
    """
    if operation == "dilation":
        return _hit(mask, element, [n // 2 for n in element.shape])
    if operation == "erosion":
        mirrored = element[::-1, ::-1, ::-1]
        return ~_hit(~mask, mirrored, [(n - 1) // 2 for n in element.shape])
    first, then = ("dilation", "erosion") if operation == "closing" else ("erosion", "dilation")
    return roughen(roughen(mask, first, element), then, element)


def _hit(mask: np.ndarray, element: np.ndarray, origin: Sequence[int]) -> np.ndarray:
    """The voxels that an element reaches when centred on a voxel of the mask."""
    full = fftconvolve(mask.astype(np.float32), element.astype(np.float32))
    here = tuple(slice(start, start + side) for start, side in zip(origin, mask.shape, strict=True))
    return full[here] > 0.5


class RandRoughMaskd(Randomizable, MapTransform):
    """Dilate, erode, close or open masks, and remove pieces of them.

    Every channel in a random order gets one of the four, with a ball of its own radius.  What a channel gains
    the others lose; what it loses is background.

    Args:
        keys: masks (C, D, H, W) of 0 and 1.
        prob: probability that any of this happens.
        radius: range, uniform, in voxels.
        prob_removal: then to remove one random piece of every channel.  nnU-Net intends 0.2, but
            its released code never removes anything.
        largest_removed: share of the patch; only smaller pieces are removed.
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        prob: float = 0.4,
        radius: Sequence[float] = (1.0, 8.0),
        prob_removal: float = 0.0,
        largest_removed: float = 0.15,
    ) -> None:
        MapTransform.__init__(self, keys)
        self.prob, self.radius = prob, tuple(radius)
        self.prob_removal, self.largest_removed = prob_removal, largest_removed
        self.steps: list[tuple[int, str, float]] = []
        self.pieces: list[float] = []

    def randomize(self, channels: int) -> None:
        """Draw (channel, operation, radius) in their order, and for each channel a piece, from 0 to 1."""
        acts, removes = self.R.random() < self.prob, self.R.random() < self.prob_removal
        self.steps = [
            (int(c), OPERATIONS[self.R.randint(len(OPERATIONS))], self.R.uniform(*self.radius))
            for c in self.R.permutation(channels if acts else 0)
        ]
        self.pieces = [self.R.random() for _ in range(channels if removes else 0)]

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Draw and apply for every key."""
        result = dict(data)
        for key in self.key_iterator(result):
            self.randomize(result[key].shape[0])
            if self.steps or self.pieces:
                result[key] = self._rough(result[key])
        return result

    def _rough(self, masks: Tensor) -> Tensor:
        found = plain(masks).numpy() > 0
        for channel, operation, radius in self.steps:
            before = found[channel]
            after = roughen(before, operation, ball(radius))
            found[:, after & ~before] = False
            found[channel] = after
        for mask, piece in zip(found, self.pieces, strict=False):
            numbered, _ = ndimage.label(mask, structure=_ALL_NEIGHBOURS)
            sizes = np.bincount(numbered.ravel())[1:]
            small = np.flatnonzero(sizes < self.largest_removed * mask.size) + 1
            if len(small):
                mask[numbered == small[int(piece * len(small))]] = False
        return torch.from_numpy(found).to(masks.dtype)
