"""How a batch of measurements reaches a recovery: with each case's own operator, where cases have one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from monai.engines import PrepareBatch
from torch import Tensor

from common.tensors.plain import plain

__all__ = ["PrepareMeasured"]


class PrepareMeasured(PrepareBatch):
    """``image``, ``label`` (None where it is not known) and, as an argument of the network, ``operator``."""

    def __call__(
        self,
        batchdata: Mapping[str, Tensor],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None, tuple, dict[str, Tensor]]:
        """The image (B, 1, M, W), the label (B, 1, N, W), no more inputs, {"operator": (B, M, N)} or {}.

        ``image`` and ``label`` keep their metadata.
        """

        def moved(key: str) -> Tensor | None:
            given = batchdata.get(key)
            return None if given is None else given.to(device=device, non_blocking=non_blocking, **kwargs)

        operator = moved("operator")
        named = {} if operator is None else {"operator": plain(operator)[:, 0]}
        return moved("image"), moved("label"), (), named
