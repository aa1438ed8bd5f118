"""From the network's grid back to the scan's, for probabilities as well as for labels.

Source: segrap2023/docs/method.md#inference.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from copy import deepcopy
from typing import Any

import torch
from monai.data import MetaTensor
from monai.transforms import MapTransform
from monai.utils import convert_to_dst_type
from torch import Tensor

from common.inference.decision import DecideOnOwnGridd, decide_on_own_grid, likeliest
from common.inference.own_grid import own_grid
from common.tensors.plain import plain

__all__ = ["DecideClassesd", "Likeliestd"]


class DecideClassesd(DecideOnOwnGridd):
    """As :class:`DecideOnOwnGridd`; a label map (1, *S) goes to the scan's grid by nearest neighbour.

    Args:
        keys: probabilities (K, *S), or label maps (1, *S).
        orig_keys: the image that the network saw, with the record of its preprocessing.
        resample: of probabilities, "probabilities" or "labels".
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Decide every key."""
        keys = [key for key in self.key_iterator(dict(data)) if len(data[key]) == 1]
        result = dict(data)
        for key in keys:
            image = data[self.orig_keys]
            grid = own_grid(image)
            found = decide_on_own_grid(plain(data[key]).detach(), grid, _as_it_is, resample="labels")
            meta = {**deepcopy(image.meta), "affine": torch.from_numpy(grid.affine)}
            result[key] = MetaTensor(found[None], meta=meta)
        return result if keys else super().__call__(data)


class Likeliestd(MapTransform):
    """Probabilities (K, *S) to the label map (1, *S) of the likeliest classes; a label map stays one."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Decide every key."""
        result = dict(data)
        for key in self.key_iterator(result):
            if len(result[key]) > 1:
                chosen = likeliest(plain(result[key]))[None]
                result[key] = convert_to_dst_type(chosen, result[key], dtype=chosen.dtype)[0]
        return result


def _as_it_is(labels: Tensor) -> Tensor:
    return labels[0]
