"""What the training of both stages adds to a case and a batch.

A case gets a second view of low resolution for the coarse stage, and the mask that this stage should find
as a further channel for the fine one.

Axes: B batch, C input channels, (D, H, W).  Source: kits21/docs/method.md#coarse-to-fine.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.engines import PrepareBatch
from monai.transforms import Compose, MapTransform, Randomizable, Transform
from torch import Tensor
from torch.nn import functional

from common.inference.two_stages import coarse_view
from common.tensors.plain import plain

__all__ = ["CoarseViewd", "OnCoarseView", "PrepareBothStages"]


class CoarseViewd(MapTransform):
    """Add ``coarse_image``, ``coarse_label`` and ``coarse_mask`` to a whole case.

    ``coarse_image`` (C, d, h, w) is the image averaged to the coarse spacing; ``coarse_label`` (1, d, h, w)
    is 1 where more than half of a voxel is kidney or mass; ``coarse_mask`` (1, D, H, W) is that in the
    image's own voxels.

    Args:
        spacing: mm of the case, (D, H, W).
        coarse_spacing: mm of the coarse stage; an axis that is already coarser is left alone.
    """

    def __init__(
        self, *, spacing: Sequence[float], coarse_spacing: Sequence[float] = (2.0, 2.0, 2.0)
    ) -> None:
        super().__init__(["image", "label"])
        self.spacing, self.coarse_spacing = tuple(spacing), tuple(coarse_spacing)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Add the three keys."""
        image, label = plain(data["image"])[None].float(), plain(data["label"])[None]
        view, _ = coarse_view(image, self.spacing, self.coarse_spacing)
        kidney = coarse_view((label > 0).float(), self.spacing, self.coarse_spacing)[0] > 0.5
        mask = functional.interpolate(kidney.float(), size=image.shape[2:], mode="nearest-exact")
        return {
            **data,
            "coarse_image": view[0],
            "coarse_label": kidney[0].to(torch.uint8),
            "coarse_mask": mask[0].to(torch.uint8),
        }


class OnCoarseView(Randomizable, Transform):
    """Random transforms of ``image`` and ``label``, drawn anew for the coarse stage's view.

    Args:
        transforms: they see ``coarse_image`` and ``coarse_label`` under the names ``image`` and ``label``.
    """

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = Compose(list(transforms))

    def set_random_state(
        self, seed: int | None = None, state: np.random.RandomState | None = None
    ) -> OnCoarseView:
        """Seed the transforms."""
        super().set_random_state(seed=seed, state=state)
        self.transforms.set_random_state(seed=int(self.R.randint(2**32, dtype="uint32")))
        return self

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace both."""
        view = self.transforms({"image": data["coarse_image"], "label": data["coarse_label"]})
        return {**data, "coarse_image": view["image"], "coarse_label": view["label"]}


class PrepareBothStages(PrepareBatch):
    """A batch for ``CoarseToFine`` and ``TwoStageLoss``: MONAI's trainer needs no more than this.

    Reads ``image``, ``label``, ``coarse_mask`` of one crop and ``coarse_image``, ``coarse_label``.
    """

    def __call__(
        self,
        batchdata: Mapping[str, Tensor],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[Tensor, dict[str, Tensor], tuple[Tensor, Tensor], dict[str, Any]]:
        """(image, both label maps, (coarse mask, coarse image), nothing)."""
        there = {
            key: plain(batchdata[key]).to(device=device, non_blocking=non_blocking, **kwargs)
            for key in ("image", "label", "coarse_mask", "coarse_image", "coarse_label")
        }
        labels = {"fine": there["label"], "coarse": there["coarse_label"]}
        return there["image"], labels, (there["coarse_mask"], there["coarse_image"]), {}
