"""From the network's grid back to the scan's, for probabilities as well as for labels.

Source: segrap2023/docs/method.md#inference.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from monai.utils import convert_to_dst_type
from torch import Tensor

from common.errors import InputError
from common.inference.decision import RESAMPLE, decide_on_own_grid, likeliest
from common.inference.own_grid import own_grid
from common.tensors.plain import plain

__all__ = ["DecideClassesd", "Likeliestd"]


class DecideClassesd(MapTransform):
    """Probabilities or labels on the network's grid to a label map on the scan's own, with its affine.

    Probabilities are interpolated linearly along every axis, also along one whose slices preprocessing took
    as they are; labels go to the scan by nearest neighbour.

    Args:
        keys: probabilities (K, *S), or label maps (1, *S).
        orig_keys: the image that the network saw, with the record of its preprocessing.
        resample: of probabilities: "probabilities", or "labels", to choose first.
        further_key: where the case's further probabilities stand, if it has some, to average with these.

    Raises:
        InputError: ``resample`` is neither of the two.
    """

    def __init__(
        self,
        keys: KeysCollection,
        orig_keys: str = "image",
        *,
        resample: str = "probabilities",
        further_key: str = "further",
    ) -> None:
        super().__init__(keys)
        if resample not in RESAMPLE:
            raise InputError(f"resample = {resample!r}; expected one of: {', '.join(RESAMPLE)}")
        self.orig_keys, self.resample, self.further_key = orig_keys, resample, further_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Decide every key."""
        result = dict(data)
        image: MetaTensor = result[self.orig_keys]
        grid = replace(own_grid(image), nearest=frozenset())
        meta = {**deepcopy(image.meta), "affine": torch.from_numpy(grid.affine)}
        for key in self.key_iterator(result):
            scores = plain(result[key]).detach()
            if len(scores) == 1:
                decided = decide_on_own_grid(scores, grid, _as_it_is, resample="labels")
            else:
                further = result.get(self.further_key, ())
                decided = decide_on_own_grid(scores, grid, likeliest, resample=self.resample, further=further)
            result[key] = MetaTensor(decided[None], meta=meta)
        return result


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
