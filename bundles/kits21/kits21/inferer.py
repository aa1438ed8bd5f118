"""Coarse-to-fine inference: kidneys in a scan of low resolution, then everything in crops of full resolution.

Axes: B batch, C input channels, R regions, (D, H, W).
Source: methods card kits21, 'Coarse-to-fine' (the winner's idea; details are inferred there).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch
from monai.inferers import Inferer, SlidingWindowInferer
from torch import Tensor, nn
from torch.nn import functional

from common.training.batches import plain
from kits21.components import kidney_boxes
from kits21.regions import REGIONS

__all__ = ["OUTSIDE", "CoarseToFineInferer"]

OUTSIDE = -10.0  # logit where no crop was: a probability of 0.00005

logger = logging.getLogger(__name__)


class CoarseToFineInferer(Inferer):
    """Runs a :class:`kits21.network.CoarseToFine` on whole scans.

    Args:
        roi_size: patch of the fine stage, voxels.
        coarse_roi_size: patch of the coarse stage, voxels.
        spacing: mm of the scans that come in.
        coarse_spacing: mm of the coarse stage; an axis that is coarser already stays as it is.
        margin_mm: around each kidney of the coarse stage.
        smallest_ml: smaller pieces of the coarse stage are no kidneys.
        most: so many kidneys at the most.
        sw_batch_size: windows in one forward pass.
        overlap: of the windows.
    """

    def __init__(
        self,
        roi_size: Sequence[int],
        coarse_roi_size: Sequence[int],
        *,
        spacing: Sequence[float],
        coarse_spacing: Sequence[float] = (2.0, 2.0, 2.0),
        margin_mm: float = 20.0,
        smallest_ml: float = 10.0,
        most: int = 2,
        sw_batch_size: int = 1,
        overlap: float = 0.5,
    ) -> None:
        super().__init__()
        self.spacing, self.coarse_spacing = tuple(spacing), tuple(coarse_spacing)
        self.boxes_of = {"margin_mm": margin_mm, "smallest_ml": smallest_ml, "most": most}
        window = {"sw_batch_size": sw_batch_size, "overlap": overlap, "mode": "gaussian"}
        self.coarse_window = SlidingWindowInferer(coarse_roi_size, **window)
        self.window = SlidingWindowInferer(roi_size, **window)

    def __call__(self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """(B, C, D, H, W) of any size to region logits (B, R, D, H, W), ``OUTSIDE`` where no kidney is."""
        stages = getattr(network, "module", network)  # within DistributedDataParallel
        return torch.cat([self._one(image[None], stages) for image in plain(inputs)])

    def coarse_mask(self, image: Tensor, coarse: nn.Module) -> tuple[Tensor, list[float]]:
        """The coarse stage: (1, C, D, H, W) to a mask (1, 1, d, h, w) of 0 and 1, and its spacing in mm."""
        sides = image.shape[2:]
        steps = zip(sides, self.spacing, self.coarse_spacing, strict=True)
        size = [max(1, round(n * s / max(s, c))) for n, s, c in steps]
        low = functional.interpolate(image, size=size, mode="area")
        mask = (self.coarse_window(low, coarse) > 0).to(image.dtype)
        return mask, [s * n / small for s, n, small in zip(self.spacing, sides, size, strict=True)]

    def _one(self, image: Tensor, stages: Any) -> Tensor:
        mask, coarse_spacing = self.coarse_mask(image, stages.coarse)
        shape = image.shape[2:]
        boxes = kidney_boxes(mask[0, 0].cpu().numpy() > 0, coarse_spacing, shape, **self.boxes_of)
        result = torch.full((1, len(REGIONS), *shape), OUTSIDE, dtype=torch.float32, device=image.device)
        if not boxes:
            logger.warning("the coarse stage found no kidney: nothing is segmented")
        both = torch.cat([image, functional.interpolate(mask, size=shape, mode="nearest-exact")], dim=1)
        for box in boxes:
            crop = (slice(None), slice(None), *box)
            logits = self.window(both[crop], stages.fine).float()
            result[crop] = torch.maximum(result[crop], logits)  # crops of both kidneys may overlap
        return result
