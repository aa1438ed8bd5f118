"""Batch norm with statistics between the source's and the current image's, and a loss on their distance.

    share of the current image = 1 / (sqrt(n) / tau + 1),   n: images so far, this one included

Source: Chen et al., VPTTA, CVPR 2024, eq. 5-7 (vptta/docs/method.md#adaptive-bn).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from common.adaptation.working_copy import replace_batch_norms
from common.kernels.adaptive_batch_norm import adaptive_batch_norm

__all__ = ["AligningNorm", "WarmUp", "alignment_loss", "convert_to_aligning"]


class WarmUp:
    """The image counter shared by all layers of a network.

    Args:
        tau: the larger, the longer the current image's statistics count; ``math.inf`` uses these alone, 0
            the source's alone.

    Attributes:
        images: n; the stream sets it before an image's first pass.

    Raises:
        ValueError: ``tau`` is negative.
    """

    def __init__(self, tau: float = 5.0) -> None:
        if not tau >= 0:
            raise ValueError(f"WarmUp: tau={tau}; expected 0 or more")
        self.tau, self.images = tau, 0

    @property
    def share(self) -> float:
        """The current image's share, in 0..1.

        Raises:
            RuntimeError: no image has been counted yet.
        """
        if self.images < 1:
            raise RuntimeError("WarmUp: no image was counted yet; set images before the first pass")
        if self.tau == 0:
            return 0.0
        return 1 / (math.sqrt(self.images) / self.tau + 1)


class AligningNorm(nn.Module):
    """Replaces a batch norm: same keys, frozen running statistics, and a ``loss`` after each pass.

    Args:
        norm: the batch norm to replace; its tensors are reused.
        warm_up: shared by all layers.

    Raises:
        ValueError: the batch norm keeps no running statistics.
    """

    def __init__(self, norm: _BatchNorm, warm_up: WarmUp) -> None:
        super().__init__()
        if norm.running_mean is None or norm.running_var is None:
            raise ValueError("AligningNorm: the batch norm has no running statistics of a source to keep to")
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, getattr(norm, name))
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps
        self.warm_up = warm_up
        self.loss: Tensor | None = None

    def forward(self, z: Tensor) -> Tensor:
        """(N, C, *S) to the same shape."""
        weight = torch.ones_like(self.running_mean) if self.weight is None else self.weight
        bias = torch.zeros_like(self.running_mean) if self.bias is None else self.bias
        out, self.loss = adaptive_batch_norm(
            z, self.running_mean, self.running_var, weight, bias, self.warm_up.share, self.eps
        )
        return out


def convert_to_aligning(network: nn.Module, warm_up: WarmUp, *, within: str = "") -> list[AligningNorm]:
    """Replace the batch norms of a network, in place.

    Args:
        network: changed in place; pass a ``sharing_copy`` of a network that others use.
        warm_up: the counter for all of them.
        within: name of the part that adapts ("encoder"); the other norms stay as they are.

    Returns:
        The new layers, in the order of ``network.modules()``.

    Raises:
        InputError: there is no batch norm.
    """
    return replace_batch_norms(network, lambda norm: AligningNorm(norm, warm_up), within=within)


def alignment_loss(layers: Sequence[AligningNorm]) -> Tensor:
    """Mean of the layers' losses of the last pass.  (The paper writes a sum, the code takes the mean.)

    The layers drop their losses, so that no graph outlives its image.
    """
    losses = [layer.loss for layer in layers]
    for layer in layers:
        layer.loss = None
    return torch.stack(losses).mean()
