"""Random rotation and scaling with a crop to the patch, in one resampling.

Volumes are (C, D, H, W).  Source: cotr/docs/method.md#augmentation (nnU-Net's, by batchgenerators).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Randomizable
from monai.transforms.utils import create_rotate
from scipy.ndimage import affine_transform
from torch import Tensor

from common.tensors.plain import plain
from common.transforms.draws import around_one
from common.transforms.label_shares import resample_shares

__all__ = ["RandRotateScaled", "acts_in_plane", "rotation_range"]


def acts_in_plane(patch_size: Sequence[int]) -> bool:
    """nnU-Net's rule: a patch more than three times as long as deep is augmented in its plane only."""
    return max(patch_size) > 3 * patch_size[0]


def rotation_range(in_plane: bool) -> list[float]:
    """Largest angle about each axis (D, H, W), radians: 180 degrees in the plane, or 30 about each."""
    return [math.pi, 0.0, 0.0] if in_plane else [math.pi / 6] * 3


class RandRotateScaled(MapTransform, Randomizable):
    """Rotate and scale about the centre, each with its own probability, and crop to the patch.

    If nothing is drawn, this is a centre crop.  Outside the volume images are 0 and labels background.
    Images are resampled by cubic splines; a label's voxel gets the class that fills half of it.

    Args:
        keys: volumes of equal size, at least ``patch_size``.
        label_keys: those of ``keys`` that are label maps.
        patch_size: voxels of the result, (D, H, W).
        prob_rotate: probability of a rotation.
        prob_scale: probability of scaling.
        angles: largest angle about each axis (D, H, W), radians, uniform in [-a, a].
        scale: range of the factor, half of the time below 1; one for all axes; above 1 shows more of the
            volume.
        in_plane: leave the first axis as it is.
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        patch_size: Sequence[int],
        label_keys: Sequence[str] = ("label",),
        prob_rotate: float = 0.2,
        prob_scale: float = 0.2,
        angles: Sequence[float] = (math.pi / 6,) * 3,
        scale: tuple[float, float] = (0.7, 1.4),
        in_plane: bool = False,
    ) -> None:
        super().__init__(keys)
        self.patch_size = list(patch_size)
        self.label_keys = set(label_keys)
        self.prob_rotate, self.prob_scale = prob_rotate, prob_scale
        self.angles, self.scale, self.in_plane = list(angles), scale, in_plane
        self.matrix: np.ndarray | None = None

    def randomize(self, data: object = None) -> None:
        """Draw the 3x3 matrix from patch to volume, about their centres, or None for the identity."""
        self.matrix = None
        rotate, scale = self.R.random(2) < (self.prob_rotate, self.prob_scale)
        if not (rotate or scale):
            return
        matrix = np.eye(3)
        if rotate:
            angles = [0.0 if a == 0 else self.R.uniform(-a, a) for a in self.angles]
            matrix = create_rotate(3, angles)[:3, :3]
        if scale:
            factor = around_one(self.R.uniform, *self.scale)
            matrix = matrix @ np.diag([1.0 if self.in_plane else factor, factor, factor])
        self.matrix = matrix

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        """Draw once, apply to every key."""
        result = dict(data)
        self.randomize()
        for key in self.key_iterator(result):
            result[key] = self.apply(result[key], is_label=key in self.label_keys)
        return result

    def apply(self, volume: Tensor, *, is_label: bool) -> Tensor:
        """The drawn transform on one volume (C, D, H, W); metadata stay those of the whole volume."""
        values = plain(volume)
        if self.matrix is None:
            patch = _centre(values, self.patch_size).clone()
        else:
            if self.in_plane:
                values = _centre(values, [self.patch_size[0], *values.shape[2:]])
            one = self._label if is_label else self._image
            patch = torch.stack([torch.from_numpy(one(channel)) for channel in values.numpy()])
        return MetaTensor(patch, meta=volume.meta) if isinstance(volume, MetaTensor) else patch

    def _image(self, channel: np.ndarray) -> np.ndarray:
        return self._resampled(channel, order=3).astype(channel.dtype, copy=False)

    def _label(self, channel: np.ndarray) -> np.ndarray:
        return resample_shares(channel, lambda mask: self._resampled(mask, order=1))

    def _resampled(self, channel: np.ndarray, order: int) -> np.ndarray:
        """(D, H, W) to the patch; in the plane slice by slice: the same result in a quarter of the time."""
        if self.in_plane:
            matrix = self.matrix[1:, 1:]
            return np.stack([_about_centre(one, matrix, self.patch_size[1:], order) for one in channel])
        return _about_centre(channel, self.matrix, self.patch_size, order)


def _about_centre(values: np.ndarray, matrix: np.ndarray, size: Sequence[int], order: int) -> np.ndarray:
    """The volume at the places that the matrix maps to; 0 beyond the outermost voxels."""
    centre, own = (np.asarray(values.shape) - 1) / 2, (np.asarray(size) - 1) / 2
    offset = centre - matrix @ own
    return affine_transform(values, matrix, offset, tuple(size), order=order, mode="constant", cval=0.0)


def _centre(values: Tensor, size: Sequence[int]) -> Tensor:
    """(C, *size) from the middle of (C, D, H, W)."""
    starts = [(side - length) // 2 for side, length in zip(values.shape[1:], size, strict=True)]
    ranges = [slice(start, start + length) for start, length in zip(starts, size, strict=True)]
    return values[(slice(None), *ranges)]
