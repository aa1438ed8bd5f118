"""Post-processing: banet_kidney/docs/method.md#post-processing."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.transforms import MapTransform
from scipy.ndimage import label as numbered
from torch import Tensor

__all__ = ["KeepLargestComponentd", "largest_component"]


def largest_component(mask: np.ndarray) -> np.ndarray:
    """The largest component of a mask (*S), bool; all of them where several are equally large.

    Voxels are connected by their faces.
    """
    components, count = numbered(mask)
    sizes = np.bincount(components.ravel(), minlength=count + 1)
    sizes[0] = 0
    return mask & np.isin(components, np.flatnonzero(sizes == sizes.max()))


class KeepLargestComponentd(MapTransform):
    """Clear what lies outside the largest component of all structures together.

    Args:
        keys: label maps (1, *S) of whole numbers, 0 the background.
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Every key; the map keeps its metadata."""
        result = dict(data)
        for key in self.key_iterator(data):
            label: Tensor = data[key]
            kept = largest_component(label[0].cpu().numpy() > 0)
            result[key] = label * torch.from_numpy(kept).to(label.device)
        return result
