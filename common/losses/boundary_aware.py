"""BA-Net's loss: Dice and cross-entropy of classes and of boundaries at every scale.

    L = L(classes) + L(boundary) + consistency * disagreement
    L(x) = sum over scales of w (cross-entropy + 1 - mean Dice of all x but the first)
    w = 1, 1/2, 1/4, ..., the coarsest 0, divided by their sum

Targets are shrunk by nearest neighbour at half-voxel centres: factor 2 takes voxel 2i + 1, factor 4 voxel
4i + 2.  Axes: B batch, K classes, spatial axes S (two or three); scales are listed finest first.

Source: Hu et al., Boundary-Aware Network for Kidney Parsing (arXiv 2208.13338), as in the authors' code;
banet_kidney/docs/method.md#losses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from monai.losses import DiceCELoss
from torch import Tensor, nn
from torch.nn import functional

from common.errors import InputError

__all__ = ["BoundaryAwareLoss", "disagreement", "scale_weights"]

_SMOOTH = 1e-5
_SMALLEST = 1e-8  # nnU-Net's, in the denominator besides

Maps = Tensor | Sequence[Tensor]


def scale_weights(scales: int) -> list[float]:
    """Weights of the scales of a network, the finest first; they add up to 1.

    Five scales weigh 8/15, 4/15, 2/15, 1/15 and 0; a single one weighs 1.
    """
    weights = [2.0**-scale for scale in range(max(scales - 1, 1))]
    return [weight / sum(weights) for weight in weights] + [0.0] * (scales > 1)


def disagreement(classes: Tensor, boundary: Tensor) -> Tensor:
    """How far a boundary head is from the boundary of the segmentation beside it.

    The mean squared difference between the probability of a boundary and the soft inner shells of the nested
    unions: with u_k the probability of class k or a higher one, the largest over k of u_k less the smallest
    u_k of the 3 x 3 (x 3) neighbourhood.  For one-hot classes that is the boundary target itself.

    Args:
        classes: logits (B, K, *S).
        boundary: logits (B, 2, *S).
    """
    pool = functional.max_pool2d if classes.ndim == 4 else functional.max_pool3d
    shares = classes.softmax(1, dtype=torch.float32)
    unions = shares.flip(1).cumsum(1).flip(1)[:, 1:]
    shells = (unions + pool(-unions, 3, stride=1, padding=1)).amax(1)
    return functional.mse_loss(boundary.softmax(1, dtype=torch.float32)[:, 1], shells)


class BoundaryAwareLoss(nn.Module):
    """The loss of BA-Net, and of a plain U-Net with as many heads.

    Args:
        batch: pool the Dice over the batch (nnU-Net's rule for the full resolution of a plan with two stages,
            and in 2D) instead of taking it sample by sample.
        consistency: weight of :func:`disagreement` at the finest scale, at least 0; the published runs have
            none.
        weights: of the K classes in their Dice and cross-entropy, background first; None, as published,
            weighs all alike.  Boundaries are never weighted.

    Raises:
        InputError: ``consistency`` is below 0, which would reward disagreement.
    """

    def __init__(
        self, *, batch: bool = False, consistency: float = 0.0, weights: Sequence[float] | None = None
    ) -> None:
        super().__init__()
        if not consistency >= 0:
            raise InputError(f"consistency = {consistency}; expected a weight, at least 0")
        self.consistency = consistency
        one_scale = partial(
            DiceCELoss,
            include_background=False,
            to_onehot_y=True,
            softmax=True,
            batch=batch,
            smooth_nr=_SMOOTH,
            smooth_dr=_SMOOTH + _SMALLEST,
        )
        self.of_boundary = one_scale()
        self.of_classes = self.of_boundary if weights is None else one_scale(weight=torch.tensor(weights))

    def forward(
        self, output: Maps | Mapping[str, Sequence[Tensor]], target: Tensor | Mapping[str, Tensor]
    ) -> Tensor:
        """The scalar loss.

        Args:
            output: ``classes`` and ``boundary``, each the logits (B, K or 2, *S) of every scale; or those of
                the classes alone.
            target: ``classes`` and ``boundary``, label maps (B, 1, *S) of whole numbers in full resolution;
                or the classes alone where the output has no boundary.
        """
        if not isinstance(output, Mapping):
            target = target["classes"] if isinstance(target, Mapping) else target
            return _over_scales(self.of_classes, output, target)
        loss = _over_scales(self.of_classes, output["classes"], target["classes"])
        loss = loss + _over_scales(self.of_boundary, output["boundary"], target["boundary"])
        if self.consistency:
            loss = loss + self.consistency * disagreement(output["classes"][0], output["boundary"][0])
        return loss


def _over_scales(one_scale: DiceCELoss, output: Maps, label: Tensor) -> Tensor:
    """The weighted sum; the coarsest scale too, so that each weight gets a gradient, if only 0."""
    maps = [output] if isinstance(output, Tensor) else output
    one_scale = one_scale.to(maps[0].device)
    losses = [
        weight * one_scale(logits, _shrunk(label, logits.shape[2:]))
        for logits, weight in zip(maps, scale_weights(len(maps)), strict=True)
    ]
    return torch.stack(losses).sum()


def _shrunk(label: Tensor, size: torch.Size) -> Tensor:
    if label.shape[2:] == size:
        return label
    return functional.interpolate(label.float(), size, mode="nearest-exact")  # whole numbers have no kernel
