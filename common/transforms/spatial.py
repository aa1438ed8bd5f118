"""Random rotation and scaling with a crop to the patch, in one resampling.

Volumes are (C, D, H, W).  Source: cotr/docs/method.md#augmentation.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import Affine, CenterSpatialCrop, MapTransform, Randomizable
from monai.transforms.utils import create_rotate, create_scale
from torch import Tensor

from common.transforms.planned import resample_per_class

__all__ = ["RandRotateScaled", "acts_in_plane", "enlarged_size", "rotation_range"]


def acts_in_plane(patch_size: Sequence[int]) -> bool:
    """nnU-Net's rule: a patch more than three times as long as deep is augmented in its plane only."""
    return max(patch_size) > 3 * patch_size[0]


def rotation_range(in_plane: bool) -> list[float]:
    """Largest angle about each axis (D, H, W), radians: 180 degrees in the plane, or 30 about each."""
    return [math.pi, 0.0, 0.0] if in_plane else [math.pi / 6] * 3


def enlarged_size(
    patch_size: Sequence[int], angles: Sequence[float], largest_scale: float, in_plane: bool
) -> list[int]:
    """The crop from which a rotated and scaled patch can be taken without touching its border often.

    The box around the patch turned by the largest angle (at most 90 degrees) about each axis,
    times the largest scale.

    Args:
        patch_size: voxels, (D, H, W).
        angles: largest angle about each axis, radians.
        largest_scale: above 1 the patch shows more of the volume.
        in_plane: the first axis is neither turned nor scaled.
    """
    size = np.asarray(patch_size, dtype=float)
    box = size.copy()
    for axis, angle in enumerate(angles):
        turn = min(abs(angle), math.pi / 2)
        a, b = (i for i in range(3) if i != axis)
        box[a] = max(box[a], size[a] * math.cos(turn) + size[b] * math.sin(turn))
        box[b] = max(box[b], size[b] * math.cos(turn) + size[a] * math.sin(turn))
    scale = np.full(3, largest_scale)
    if in_plane:
        box[0], scale[0] = size[0], 1.0
    return [math.ceil(edge - 1e-6) for edge in box * scale]


class RandRotateScaled(MapTransform, Randomizable):
    """Rotate and scale about the centre, each with its own probability, and crop to the patch.

    Outside the volume images are 0 and labels background.  Images by cubic splines, labels linearly
    class by class.

    Args:
        keys: volumes of equal size, at least ``patch_size``.
        label_keys: those of ``keys`` that are label maps.
        patch_size: voxels of the result, (D, H, W).
        prob_rotate: probability of a rotation.
        prob_scale: probability of scaling.
        angles: largest angle about each axis (D, H, W), radians, uniform in [-a, a].
        scale: range of the factor, uniform; one for all axes; above 1 shows more of the volume.
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
        self.crop = CenterSpatialCrop(self.patch_size)
        self.matrix: np.ndarray | None = None

    def randomize(self, data: object = None) -> None:
        """Draw the 4x4 matrix from patch to volume coordinates, or None for the identity."""
        self.matrix = None
        rotate, scale = self.R.random(2) < (self.prob_rotate, self.prob_scale)
        if not (rotate or scale):
            return
        matrix = np.eye(4)
        if rotate:
            angles = [0.0 if a == 0 else self.R.uniform(-a, a) for a in self.angles]
            matrix = matrix @ create_rotate(3, angles)
        if scale:
            factor = self.R.uniform(*self.scale)
            matrix = matrix @ create_scale(3, [1.0 if self.in_plane else factor, factor, factor])
        self.matrix = matrix

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        """Draw once, apply to every key."""
        result = dict(data)
        self.randomize()
        for key in self.key_iterator(result):
            result[key] = self.apply(result[key], is_label=key in self.label_keys)
        return result

    def apply(self, volume: Tensor, *, is_label: bool) -> Tensor:
        """The drawn transform on one volume (C, D, H, W); the centre patch where nothing was drawn."""
        if self.matrix is None:
            return self.crop(volume)

        def turn(x: Tensor) -> Tensor:
            affine = Affine(
                affine=torch.from_numpy(self.matrix),
                spatial_size=self.patch_size,
                mode="bilinear" if is_label else 3,
                padding_mode="zeros" if is_label else "constant",
                image_only=True,
            )
            return affine(x)

        return resample_per_class(volume, turn) if is_label else turn(volume)
