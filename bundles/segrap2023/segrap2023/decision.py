"""Choosing the likeliest class where an inferer may have chosen it already.

Source: segrap2023/docs/method.md#inference.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from monai.transforms import MapTransform
from monai.utils import convert_to_dst_type

from common.inference.decision import likeliest
from common.tensors.plain import plain

__all__ = ["Likeliestd"]


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
