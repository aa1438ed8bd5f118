"""The grid of a fixed number of voxels on which a data set's pairs are registered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import BorderPad, MapTransform, SpatialCrop

__all__ = ["CropOrPadd"]


class CropOrPadd(MapTransform):
    """Crop and zero-pad images to a size, about a place of the case or the image's centre.

    Args:
        keys: of images (1, *S) with an affine.
        size: voxels along each axis; None leaves the images as they are.
        centre: key under which the case may have a place, x, y, z in RAS+ mm; the voxel nearest to it becomes
            voxel ``size // 2``.  Without it voxel ``n // 2`` of the image becomes that.
    """

    def __init__(self, keys: KeysCollection, *, size: Sequence[int] | None, centre: str = "centre") -> None:
        super().__init__(keys)
        self.size, self.centre = None if size is None else [int(n) for n in size], centre

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The case with images of that size, without the place."""
        case = dict(data)
        place = case.pop(self.centre, None)
        if self.size is None:
            return case
        for key in self.key_iterator(case):
            case[key] = self._about(case[key], place)
        return case

    def _about(self, image: MetaTensor, place: Sequence[float] | None) -> MetaTensor:
        shape = image.shape[1:]
        middle = [n // 2 for n in shape]
        if place is not None:
            world = torch.tensor([*place, 1.0], dtype=torch.float64)
            voxel = torch.linalg.solve(image.affine.double(), world)[:3]
            middle = [min(max(round(v), 0), n - 1) for v, n in zip(voxel.tolist(), shape, strict=True)]
        starts = [at - side // 2 for at, side in zip(middle, self.size, strict=True)]
        padded = BorderPad(self.size)(image)  # a crop about any voxel fits into that
        first = [start + side for start, side in zip(starts, self.size, strict=True)]
        last = [start + side for start, side in zip(first, self.size, strict=True)]
        return SpatialCrop(roi_start=first, roi_end=last)(padded)
