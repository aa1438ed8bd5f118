"""From regions to a label map, as a MONAI postprocessing transform."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from torch import Tensor

from kits21.components import clean_regions
from kits21.losses import region_targets
from kits21.regions import NESTING, label_of_regions

__all__ = ["RegionsToLabeld"]


class RegionsToLabeld(MapTransform):
    """Probabilities (K, D, H, W), or decisions made from them, to a label map (1, D, H, W) uint8.

    A region is where its probability exceeds one half; with softmax, regions are made from the likeliest
    class. Small components are removed, and so is what lies outside the enclosing region.

    Args:
        keys: predictions: probabilities, or masks of regions, or with ``softmax`` a label map (1, D, H, W).
        order: label values, outermost first (:func:`kits21.regions.nesting`).
        softmax: channels are the classes with the background, instead of nested regions.
        smallest_ml: volume of the smallest component kept in each region; zeros keep all.  The last value
            applies to any further regions.
        spacing: mm, if the prediction has no affine of its own.
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        order: Sequence[int] = NESTING,
        softmax: bool = False,
        smallest_ml: Sequence[float] = (10.0, 0.2, 0.2),
        spacing: Sequence[float] = (1.0, 1.0, 1.0),
    ) -> None:
        super().__init__(keys)
        self.order, self.softmax, self.spacing = tuple(order), softmax, tuple(spacing)
        given = [*smallest_ml, *[smallest_ml[-1]] * len(self.order)]
        self.smallest_ml = given[: len(self.order)]

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace every key."""
        result = dict(data)
        for key in self.key_iterator(result):
            result[key] = self._label(result[key])
        return result

    def _label(self, found: Tensor) -> Tensor:
        spacing = found.pixdim.tolist() if isinstance(found, MetaTensor) else self.spacing
        if self.softmax:
            classes = found if len(found) == 1 else found.argmax(dim=0, keepdim=True)
            masks = region_targets(classes[None], self.order)[0] > 0
        else:
            masks = found > 0.5
        regions = masks.cpu().numpy()
        kept = clean_regions(regions, spacing, smallest_ml=self.smallest_ml)
        label = label_of_regions(torch.from_numpy(kept), self.order).to(found.device)
        return MetaTensor(label).copy_meta_from(found) if isinstance(found, MetaTensor) else label
