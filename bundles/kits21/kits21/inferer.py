"""Coarse-to-fine inference: kidneys in a low-resolution scan, then everything in full-resolution crops.

Axes: B batch, C input channels, R regions, (D, H, W).
Source: kits21/docs/method.md#coarse-to-fine.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch
from monai.data import MetaTensor
from monai.inferers import Inferer
from torch import Tensor, nn
from torch.nn import functional

from common.inference.sliding_window import ProbabilityWindowInferer
from common.inference.two_stages import boxes_around_pieces, coarse_view, refine
from common.tensors.plain import plain
from kits21.regions import REGIONS

__all__ = ["CoarseToFineInferer", "TwoStageTrainingInferer", "has_two_stages"]

logger = logging.getLogger(__name__)


class TwoStageTrainingInferer(Inferer):
    """The forward pass of training: both stages' inputs for a two-stage network, the image alone for any
    other.
    """

    def __call__(self, inputs: Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """The network's output."""
        return network(inputs, *args, **kwargs) if has_two_stages(network) else network(inputs)


def has_two_stages(network: Any) -> bool:
    """Whether a network, perhaps within DistributedDataParallel, has a coarse and a fine part."""
    inner = getattr(network, "module", network)
    return hasattr(inner, "coarse") and hasattr(inner, "fine")


class CoarseToFineInferer(Inferer):
    """Runs a :class:`kits21.network.CoarseToFine` on whole scans, any other network as a single stage.

    Probabilities are averaged over windows and mirrored views, as nnU-Net does.

    Args:
        roi_size: patch of the fine stage, voxels.
        coarse_roi_size: patch of the coarse stage, voxels.
        spacing: of the incoming scans, mm.
        coarse_spacing: of the coarse stage, mm; an axis that is already coarser is left alone.
        margin_mm: around each kidney of the coarse stage.
        smallest_ml: smaller components of the coarse stage are not kidneys.
        most: maximum number of kidneys.
        sw_batch_size: windows in one forward pass.
        overlap: of the windows.
        sigma_scale: of the windows' Gaussian weights, in patches.
        mirror_axes: spatial axes of the mirrored views, 0 for D.
        softmax: the fine stage's channels are classes, the first the background, instead of regions.
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
        sigma_scale: float = 0.125,
        mirror_axes: Sequence[int] = (),
        softmax: bool = False,
    ) -> None:
        super().__init__()
        self.spacing, self.coarse_spacing = tuple(spacing), tuple(coarse_spacing)
        self.softmax = softmax
        self.boxes_of = {"margin_mm": margin_mm, "smallest_ml": smallest_ml, "most": most}
        self.boxes_of["at_least"] = tuple(roi_size)
        window = {
            "mirror_axes": mirror_axes,
            "sw_batch_size": sw_batch_size,
            "overlap": overlap,
            "mode": "gaussian",
            "sigma_scale": sigma_scale,
        }
        self.coarse_window = ProbabilityWindowInferer(coarse_roi_size, sigmoid=True, **window)
        self.window = ProbabilityWindowInferer(roi_size, sigmoid=not softmax, **window)

    def __call__(self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """(B, C, D, H, W) of any size to probabilities (B, R, D, H, W); only background if no kidney is
        found.
        """
        found = self._probabilities(plain(inputs), network)
        return MetaTensor(found).copy_meta_from(inputs) if isinstance(inputs, MetaTensor) else found

    def _probabilities(self, images: Tensor, network: Callable[..., Tensor]) -> Tensor:
        if not has_two_stages(network):
            return self.window(images, network).float()
        stages = getattr(network, "module", network)  # within DistributedDataParallel
        return torch.cat([self._one(image[None], stages) for image in images])

    def coarse_mask(self, image: Tensor, coarse: nn.Module) -> tuple[Tensor, list[float]]:
        """The coarse stage: (1, C, D, H, W) to a mask (1, 1, d, h, w) of 0 and 1, and its spacing in mm."""
        low, spacing = coarse_view(image, self.spacing, self.coarse_spacing)
        return (self.coarse_window(low, coarse) > 0.5).to(image.dtype), spacing

    def _one(self, image: Tensor, stages: Any) -> Tensor:
        mask, coarse_spacing = self.coarse_mask(image, stages.coarse)
        shape = image.shape[2:]
        boxes = boxes_around_pieces(mask[0, 0].cpu().numpy() > 0, coarse_spacing, shape, **self.boxes_of)
        if not boxes:
            logger.warning("the coarse stage found no kidney: nothing is segmented")
        channels = getattr(stages, "out_channels", len(REGIONS) + self.softmax)
        result = self._background(channels, shape, image)
        both = torch.cat([image, functional.interpolate(mask, size=shape, mode="nearest-exact")], dim=1)
        # The kidneys' crops may overlap: either one's findings count, and with softmax the later one's.
        overlapping = "last" if self.softmax else "highest"
        return refine(
            result, both, boxes, lambda crop: self.window(crop, stages.fine), overlapping=overlapping
        )

    def _background(self, channels: int, shape: Sequence[int], like: Tensor) -> Tensor:
        """Probabilities (1, K, D, H, W) that are background everywhere."""
        result = torch.zeros((1, channels, *shape), dtype=torch.float32, device=like.device)
        if self.softmax:
            result[:, 0] = 1
        return result
