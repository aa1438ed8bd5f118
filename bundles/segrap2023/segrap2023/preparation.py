"""The baseline's own steps of preprocessing: zoom, the body's box, and the second z-score.

Volumes are (C, D, H, W); channel 0 is the CT without contrast agent, in HU.
Source: segrap2023/docs/method.md#preprocessing.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import CropForegroundd, MapTransform, SpatialCrop, SpatialResample
from scipy.ndimage import generate_binary_structure, label
from torch import Tensor

from common.tensors.plain import plain

__all__ = ["BodyBoxd", "CropToBodyd", "ResampleWholed", "ZScored", "body_mask"]

_AIR = -500.0  # HU
_SMALL = 1e-5
_START, _END = "body_start", "body_end"


class ResampleWholed(MapTransform):
    """Resample volumes to a spacing, all axes together: the whole extent of the volume is kept.

    A side becomes side x its spacing / the new one, rounded, and voxels fill the same extent evenly, so that
    a spacing differs from the one asked for by the rounding.  Beyond the outermost voxel centres their value
    goes on.  Nothing is smoothed before.

    Args:
        keys: images or label maps, (C, D, H, W) with an affine.
        spacing: mm, (D, H, W).
        mode: "cubic" for splines of third order, "nearest".
    """

    def __init__(self, keys: KeysCollection, spacing: Sequence[float], *, mode: str) -> None:
        super().__init__(keys)
        self.spacing = np.asarray(spacing, np.float64)
        order, beyond = {"cubic": (3, "nearest"), "nearest": ("nearest", "border")}[mode]
        self.resample = SpatialResample(mode=order, padding_mode=beyond)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Resample every key."""
        result = dict(data)
        for key in self.key_iterator(result):
            volume = result[key]
            sides = np.asarray(volume.shape[1:])
            target = np.maximum(np.rint(sides * volume.pixdim.numpy() / self.spacing), 1).astype(int)
            step = np.eye(4)
            step[:3, :3] = np.diag(sides / target)
            step[:3, 3] = (sides / target - 1) / 2  # of the first voxel's centre
            affine = np.asarray(volume.affine, np.float64) @ step
            result[key] = self.resample(volume, dst_affine=affine, spatial_size=target.tolist())
        return result


def body_mask(ct: Tensor) -> Tensor:
    """Bool, like ``ct`` (1, D, H, W) in HU: its largest component of voxels above -500, over 26 neighbours.

    All of it where no voxel is above.
    """
    above = plain(ct)[0].cpu().numpy() > _AIR
    components, number = label(above, generate_binary_structure(3, 3))
    if number == 0:
        return torch.ones(ct.shape, dtype=torch.bool)
    sizes = np.bincount(components.ravel())
    sizes[0] = 0
    return torch.from_numpy(components == sizes.argmax())[None]


class BodyBoxd(CropForegroundd):
    """Cut images to the box of the body in their first channel, and note the box in the case.

    Args:
        keys: images; the first is looked at.
    """

    def __init__(self, keys: KeysCollection) -> None:
        first = keys if isinstance(keys, str) else next(iter(keys))
        super().__init__(
            keys,
            source_key=str(first),
            select_fn=body_mask,
            channel_indices=0,
            allow_smaller=True,
            start_coord_key=_START,
            end_coord_key=_END,
        )


class CropToBodyd(MapTransform):
    """Cut label maps to the box that :class:`BodyBoxd` has noted."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Cut every key."""
        result = dict(data)
        cut = SpatialCrop(roi_start=result[_START], roi_end=result[_END])
        for key in self.key_iterator(result):
            result[key] = cut(result[key])
        return result


class ZScored(MapTransform):
    """Subtract each channel's mean and divide by its standard deviation + 1e-5.

    Args:
        keys: images or crops of them, (C, D, H, W).
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Scale every key."""
        result = dict(data)
        for key in self.key_iterator(result):
            image = result[key]
            values = plain(image).to(torch.float32)
            axes = tuple(range(1, values.ndim))
            mean = values.mean(dim=axes, keepdim=True)
            sd = values.std(dim=axes, keepdim=True, correction=0)
            scaled = (values - mean) / (sd + _SMALL)
            if isinstance(image, MetaTensor):
                scaled = MetaTensor(scaled, meta=image.meta, applied_operations=image.applied_operations)
            result[key] = scaled
        return result
