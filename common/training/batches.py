"""How a batch reaches the network: as plain tensors, since metadata would slow every operation down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from monai.engines import PrepareBatch
from torch import Tensor

from common.tensors.plain import plain

__all__ = ["PrepareImageLabel"]


class PrepareImageLabel(PrepareBatch):
    """``image`` and ``label`` of a batch on the device; the batch itself keeps its metadata."""

    def __call__(
        self,
        batchdata: Mapping[str, Tensor],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor]:
        """The pair (image, label)."""
        image, label = (
            plain(batchdata[key]).to(device=device, non_blocking=non_blocking, **kwargs)
            for key in ("image", "label")
        )
        return image, label
