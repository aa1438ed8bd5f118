"""Transforms for pairs: two files become two channels, a displacement becomes a warped image.

Keys of a case: ``moving``, ``fixed`` and perhaps ``moving_label``, ``fixed_label``; later ``image`` (2, *S),
moving and fixed, ``label`` (2, *S), 0 where no structure is known, ``pred`` (3, *S), the displacement in
voxels.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from monai.data import MetaTensor
from monai.transforms import Randomizable, Transform
from torch import Tensor

from common.registration.warp import warp
from common.tensors.plain import plain
from common.training.batches import PrepareImageLabel

__all__ = ["PairChannelsd", "PreparePair", "RandSwapd", "WarpPaird"]


class PairChannelsd(Transform):
    """Stack moving and fixed image, which share a grid by now, into ``image``, and their labels into
    ``label``.

    Grid and affine are the fixed image's; the case is called "MOVING to FIXED".  Unless both label maps are
    given, ``label`` is 0 everywhere: no structure is known.
    """

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The case without its single volumes; ``moving_file`` and ``fixed_file`` name their files.

        A ``moving_label`` that was not loaded is kept as ``moving_label_file``.
        """
        case = dict(data)
        moving, fixed = case.pop("moving"), case.pop("fixed")
        files = {"moving": Path(moving.meta["filename_or_obj"]), "fixed": Path(fixed.meta["filename_or_obj"])}
        labels = [case.pop(f"{role}_label", None) for role in ("moving", "fixed")]
        image = torch.cat([plain(moving), plain(fixed)]).float()
        if all(isinstance(label, Tensor) for label in labels):
            label = torch.cat([plain(one) for one in labels]).round().to(torch.uint8)
        else:
            label = torch.zeros(image.shape, dtype=torch.uint8)
        name = f"{files['moving'].name} to {files['fixed'].name}"
        meta = {"filename_or_obj": str(files["moving"].with_name(name))}
        for key, value in (("image", image), ("label", label)):
            case[key] = MetaTensor(value, affine=fixed.affine.clone(), meta=dict(meta))
        if isinstance(labels[0], str):  # not loaded: it is only warped
            case["moving_label_file"] = labels[0]
        return case | {f"{role}_file": str(file) for role, file in files.items()}


class RandSwapd(Randomizable, Transform):
    """Swap moving and fixed at random, images and labels together.

    Args:
        prob: probability of a swap.
    """

    def __init__(self, prob: float = 0.5) -> None:
        self.prob, self.swaps = float(prob), False

    def randomize(self, data: Any = None) -> None:
        """Decide whether this case is swapped."""
        self.swaps = bool(self.R.random() < self.prob)

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The case, swapped or not."""
        self.randomize()
        case = dict(data)
        if self.swaps:
            case |= {key: case[key].flip(0) for key in ("image", "label")}
        return case


class PreparePair(PrepareImageLabel):
    """The input (B, 2, *S), and the loss's target (B, 4, *S): moving, fixed and their label maps."""

    def __call__(self, *given: Any, **settings: Any) -> tuple[Tensor, Tensor]:
        """Images and target on the device."""
        image, label = super().__call__(*given, **settings)
        return image, torch.cat([image, label.to(image.dtype)], 1)


class WarpPaird(Transform):
    """Apply a displacement to a pair.

    ``warped`` and ``fixed`` (1, *S), ``moving`` (1, *S); ``warped_label``, ``fixed_label``, ``moving_label``
    (1, *S) uint8.
    """

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The case with these keys added."""
        case = dict(data)
        field = plain(case["pred"]).float()[None]
        image, label = (plain(case[key]).to(field.device) for key in ("image", "label"))
        case["moving"], case["fixed"] = image[:1], image[1:2]
        case["warped"] = warp(image[None, :1], field)[0]
        warped_label = warp(label[None, :1], field, mode="nearest")[0]
        for role, one in (("moving", label[:1]), ("fixed", label[1:2]), ("warped", warped_label)):
            # Surface distances take their mm from the affine.
            case[f"{role}_label"] = MetaTensor(one, affine=case["image"].affine)
        return case
