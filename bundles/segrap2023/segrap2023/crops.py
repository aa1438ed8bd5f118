"""Crops of the baseline's training, anywhere inside the volume or about a voxel of a class.

Source: segrap2023/docs/method.md#training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from monai.config import KeysCollection

from common.transforms.nnunet_crops import RandNnUNetCropd

__all__ = ["RandCropInsided"]


class RandCropInsided(RandNnUNetCropd):
    """Cut a crop that lies inside the volume, the same from every key.

    Its place is uniform over all that are inside; or it is centred on a stored voxel of a class drawn
    uniformly from those present, and shifted inside.  Along an axis on which the volume is smaller than the
    crop it lies in the crop's middle, between zeros; the published training fails there.

    Args:
        keys: volumes of equal size, (C, D, H, W).
        size: of the crop in voxels.
        on_class: centre the crop on a voxel of a class.
        classes: values of the classes to choose from; None for all that are there.
        voxels: key that :class:`common.transforms.nnunet_crops.ForegroundVoxelsd` has made; it is dropped.
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        size: Sequence[int],
        on_class: bool = False,
        classes: Sequence[int] | None = None,
        voxels: str = "label_voxels",
    ) -> None:
        super().__init__(keys, crop_size=size, patch_size=size, on_foreground=on_class, voxels=voxels)
        self.classes = None if classes is None else set(classes)

    def bounds(self, shape: Sequence[int]) -> list[tuple[int, int]]:
        """First and last place where a crop may start, for each axis."""
        return [
            (0, side - size) if side >= size else ((side - size) // 2,) * 2
            for side, size in zip(shape, self.crop_size, strict=True)
        ]

    def randomize(self, shape: Sequence[int], stored: Mapping[int, np.ndarray]) -> None:
        """Draw where the crop starts in a volume of this size."""
        if self.classes is not None:
            stored = {value: voxels for value, voxels in stored.items() if value in self.classes}
        super().randomize(shape, stored)
        bounds = self.bounds(shape)
        self.start = [min(start, last) for start, (_, last) in zip(self.start, bounds, strict=True)]
