"""The boundaries that BA-Net learns, from the label patch as augmented, on the device of the training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from common.training.batches import PrepareImageLabel
from common.training.guards import foreground_hits
from common.transforms.boundary import inner_boundary

__all__ = ["PrepareBoundary", "class_hits"]


class PrepareBoundary(PrepareImageLabel):
    """``image`` of a batch, and as target its label with the boundaries in it."""

    def __call__(
        self,
        batchdata: Mapping[str, Tensor],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The image, and ``classes`` and ``boundary``, maps (B, 1, *S) of the label's type."""
        image, label = super().__call__(batchdata, device, non_blocking, **kwargs)
        return image, {"classes": label, "boundary": inner_boundary(label).to(label.dtype)}


def class_hits(output: Mapping[str, Any]) -> int:
    """:func:`common.training.guards.foreground_hits` of a network with or without a boundary decoder.

    Args:
        output: the trainer's, with a target of :class:`PrepareBoundary`.
    """
    pred = output["pred"]
    classes = pred["classes"] if isinstance(pred, Mapping) else pred
    return foreground_hits({"pred": classes, "label": output["label"]["classes"]})
