"""Boundary refinement: a second network looks at small structures at the scan's own resolution.

Around each small structure that the first network found, a box with a margin is cut from the scan at its own
spacing.  There the second network predicts all classes again, and a voxel gets its class where either network
says that it belongs to a small structure.  Everything else stays.

Source: segrap2023/docs/method.md#refinement.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import LoadImage, MapTransform, Orientation
from torch import Tensor, nn

from common.checkpoints.staging import find_plan
from common.checkpoints.store import load_weights, require_weights
from common.datasets.plan.plan_file import read_plan
from common.errors import InputError
from common.inference.two_stages import Box, box_around
from common.tensors.plain import plain
from common.transforms.planned import PlannedIntensityd
from segrap2023.losses import SMALL_CLASSES, small_classes
from segrap2023.windows import StrideWindowInferer

__all__ = ["NoteFilesd", "RefineStructuresd", "refined"]

logger = logging.getLogger(__name__)

_FILES = "image_files"


class NoteFilesd(MapTransform):
    """Before images are read, note which files they are, since their metadata names the first one alone."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Note those of the one key."""
        result = dict(data)
        for key in self.key_iterator(result):
            files = result[key]
            result[_FILES] = [str(file) for file in (files if isinstance(files, list | tuple) else [files])]
        return result


def refined(
    label: np.ndarray,
    predict: Callable[[Box], np.ndarray],
    *,
    spacing: Sequence[float],
    margin_mm: float,
    at_least: Sequence[int] = (1, 1, 1),
    classes: Sequence[int] = SMALL_CLASSES,
) -> np.ndarray:
    """A label map in which small structures are predicted anew.

    Args:
        label: (*S), the first network's.
        predict: a box of the volume to the second network's labels in it.
        spacing: mm, in the order of the axes.
        margin_mm: around the box of a class.
        at_least: voxels per side of a box, if the volume has as many.
        classes: values of the small ones.

    Returns:
        (*S), a new array.
    """
    result = label.copy()
    for box in _boxes(label, spacing, margin_mm, classes, at_least):
        before, again = result[box], predict(box)
        changed = np.isin(before, classes) | np.isin(again, classes)
        before[changed] = again[changed]
    return result


def _boxes(
    label: np.ndarray,
    spacing: Sequence[float],
    margin_mm: float,
    classes: Sequence[int],
    at_least: Sequence[int],
) -> list[Box]:
    """The box with a margin of each class that is there; one inside another is left out."""
    around = (
        box_around(label == value, spacing, label.shape, margin_mm=margin_mm, at_least=at_least)
        for value in classes
    )
    boxes: list[Box] = []
    for box in around:
        if box is None or any(_within(box, other) for other in boxes):
            continue
        boxes = [other for other in boxes if not _within(other, box)] + [box]
    return boxes


def _within(inner: Box, outer: Box) -> bool:
    return all(o.start <= i.start and i.stop <= o.stop for i, o in zip(inner, outer, strict=True))


class RefineStructuresd(MapTransform):
    """Predict small structures of a label map anew, with a network that refine.json has trained.

    Args:
        keys: label maps (1, X, Y, Z) on the scan's own grid, in a case that :class:`NoteFilesd` has seen.
        network: the second network.
        weights: its weights, with their plan.json beside them.
        num_classes: of the label maps.
        margin_mm: around the box of a structure.
        sw_batch_size: windows per call of the network.
        device: of the network.

    Raises:
        InputError: there are no such weights, they are another network's, or have no plan; or the classes are
            not those of organs, of which some are small.
    """

    def __init__(
        self,
        keys: KeysCollection,
        network: nn.Module,
        weights: str | Path,
        *,
        num_classes: int = 55,
        margin_mm: float = 10.0,
        sw_batch_size: int = 1,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(keys)
        self.margin_mm, self.device = margin_mm, torch.device(device)
        small_classes(num_classes, instead="predict without --refiner")
        require_weights(weights, bundle="segrap2023")
        load_weights(network, weights, bundle="segrap2023")
        self.network = network.to(self.device).eval()
        file = find_plan(Path(weights), Path(weights).with_name("plan.json"))
        if file is None:
            raise InputError(
                f"{weights}: comes with no plan.json; put the one there that was written with it"
            )
        plan = read_plan(file)
        self.scale = PlannedIntensityd("image", plan["intensity"])
        self.inferer = StrideWindowInferer(
            plan["patch_size"], stride=0.5, sw_batch_size=sw_batch_size, classes=True
        )

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Refine every key."""
        result = dict(data)
        for key in self.key_iterator(result):
            result[key] = self._refine(result[key], result[_FILES])
        return result

    def _refine(self, label: MetaTensor, files: Sequence[str]) -> MetaTensor:
        turn = Orientation(axcodes="SPL", labels=None)
        turned = turn(label)
        scan = LoadImage(image_only=True, ensure_channel_first=True)(files if len(files) > 1 else files[0])
        image = self.scale({"image": turn(scan)})["image"]
        before = plain(turned)[0].cpu().numpy()

        def predict(box: Box) -> np.ndarray:
            with torch.no_grad():
                crop: Tensor = plain(image)[(slice(None), *box)][None].to(self.device)
                return plain(self.inferer(crop, self.network))[0, 0].cpu().numpy()

        after = refined(
            before,
            predict,
            spacing=turned.pixdim.tolist(),
            margin_mm=self.margin_mm,
            at_least=self.inferer.roi_size,
        )
        logger.info("refinement changed %d voxels", int((after != before).sum()))
        made = MetaTensor(torch.from_numpy(after)[None], meta=turned.meta)
        made.applied_operations = turned.applied_operations
        return turn.inverse(made)
