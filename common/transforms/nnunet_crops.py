"""nnU-Net's crops: larger than the patch, and placed so that the patch's centre reaches every border.

Beyond the volume a crop is 0.  A rotation and a scaling (``common.transforms.spatial``) take the
patch from its middle.  Volumes are (C, D, H, W).  Source:
cotr/docs/method.md#sampling.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Randomizable
from torch import Tensor

from common.tensors.plain import plain

__all__ = ["ForegroundVoxelsd", "RandNnUNetCropd", "enlarged_size"]

_SHRINK = 0.85  # nnU-Net sizes the crop for this scale, though it draws scales from 0.7 on
_MOST, _SHARE = 10_000, 0.01  # of a class' voxels that are kept to choose from
_SEED = 1234


def enlarged_size(patch_size: Sequence[int], angles: Sequence[float], in_plane: bool) -> list[int]:
    """Sides of the crop that nnU-Net cuts for a patch, in voxels.

    The patch's far corner, turned about one axis at a time by the largest angle (at most 90 degrees): along
    each axis the largest coordinate that it has in any of these places, or unturned, divided by 0.85.

    Args:
        patch_size: voxels, (D, H, W).
        angles: largest angle about each axis, radians.
        in_plane: the first axis is neither turned nor scaled, and keeps its length.
    """
    corner = np.asarray(patch_size, dtype=float)
    extent = corner.copy()
    for axis, angle in enumerate(angles):
        turn = min(abs(angle), math.pi / 2)
        one, other = ((1, 2), (2, 0), (0, 1))[axis]
        turned = corner[one] + 1j * corner[other]
        turned *= complex(math.cos(turn), -math.sin(turn))
        extent[one], extent[other] = max(extent[one], turned.real), max(extent[other], abs(turned.imag))
    enlarged = [int(side / _SHRINK) for side in extent]
    return [int(patch_size[0]), *enlarged[1:]] if in_plane else enlarged


class ForegroundVoxelsd(MapTransform):
    """Note where the classes of a label map lie, so that a crop need not search for them every time.

    For a key ``label`` the case gets ``label_voxels``: {class: (n, 3) int32}, without background.  For each
    class 10,000 voxels are kept, or 1 % if that is more; always the same ones.

    Args:
        keys: label maps (1, D, H, W).
        allow_missing_keys: pass cases without the key.
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Add a key for every label map."""
        result = dict(data)
        for key in self.key_iterator(data):
            result[f"{key}_voxels"] = _stored_voxels(plain(result[key])[0].numpy())
        return result


def _stored_voxels(label: np.ndarray) -> dict[int, np.ndarray]:
    random = np.random.RandomState(_SEED)
    stored: dict[int, np.ndarray] = {}
    for value in np.unique(label[label > 0]):
        voxels = np.argwhere(label == value).astype(np.int32)
        number = max(min(_MOST, len(voxels)), math.ceil(_SHARE * len(voxels)))
        stored[int(value)] = voxels[random.choice(len(voxels), number, replace=False)]
    return stored


class RandNnUNetCropd(MapTransform, Randomizable):
    """Cut a crop for a patch, anywhere or around a voxel of the foreground, the same from every key.

    Along each axis the volume is treated as longer by crop - patch (at least crop - side), half of that at
    each end, rounded up.  A crop anywhere lies in it, so that its middle, the patch, reaches every
    border and passes none by more than a voxel.

    A crop on the foreground is centred on a stored voxel of a class drawn uniformly from those present.  It
    is moved if it would start before the longer volume, but not if it would end behind it.  A case without
    foreground is cropped anywhere.

    Args:
        keys: volumes of equal size.
        crop_size: voxels of the crop, see :func:`enlarged_size`.
        patch_size: voxels of the patch that will be taken from its middle.
        on_foreground: crop on the foreground.
        voxels: key that :class:`ForegroundVoxelsd` has made; it is dropped.
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        crop_size: Sequence[int],
        patch_size: Sequence[int],
        on_foreground: bool = False,
        voxels: str = "label_voxels",
    ) -> None:
        super().__init__(keys)
        self.crop_size, self.patch_size = list(crop_size), list(patch_size)
        self.on_foreground, self.voxels = on_foreground, voxels
        self.start: list[int] = []
        self.voxel: list[int] | None = None

    def bounds(self, shape: Sequence[int]) -> list[tuple[int, int]]:
        """First and last place where a crop anywhere may start, for each axis of a volume."""
        bounds = []
        for side, crop, patch in zip(shape, self.crop_size, self.patch_size, strict=True):
            before = math.ceil(max(crop - patch, crop - side) / 2)
            bounds.append((-before, side - crop + before))
        return bounds

    def randomize(self, shape: Sequence[int], stored: Mapping[int, np.ndarray]) -> None:
        """Draw where the crop starts in a volume of this size."""
        bounds = self.bounds(shape)
        self.voxel = None
        if self.on_foreground and stored:
            of_class = stored[sorted(stored)[self.R.randint(len(stored))]]
            self.voxel = of_class[self.R.randint(len(of_class))].tolist()
            self.start = [
                max(at - crop // 2, first)
                for at, crop, (first, _) in zip(self.voxel, self.crop_size, bounds, strict=True)
            ]
        else:
            self.start = [int(self.R.randint(first, last + 1)) for first, last in bounds]

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Draw once, cut every key."""
        result = dict(data)
        stored = result.pop(self.voxels) if self.on_foreground else result.pop(self.voxels, {})
        self.randomize(next(iter(result[key] for key in self.key_iterator(result))).shape[1:], stored)
        for key in self.key_iterator(result):
            result[key] = self.cut(result[key])
        return result

    def cut(self, volume: Tensor) -> Tensor:
        """The crop (C, *crop_size) at the drawn start; metadata stay those of the whole volume."""
        values = plain(volume)
        crop = torch.zeros(values.shape[:1] + tuple(self.crop_size), dtype=values.dtype)
        there, here = [slice(None)], [slice(None)]
        for start, size, side in zip(self.start, self.crop_size, values.shape[1:], strict=True):
            first, end = max(start, 0), min(start + size, side)
            there.append(slice(first, end))
            here.append(slice(first - start, end - start))
        crop[tuple(here)] = values[tuple(there)]
        return MetaTensor(crop, meta=volume.meta) if isinstance(volume, MetaTensor) else crop
