"""The self-supervised losses that can be an adaptation's auxiliary or pseudo objective.

Axes: B batch, C channels, (H, W); images lie in [0, 1].  All means are over batch, channels and pixels.
Source: grata/docs/method.md#objectives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common.errors import InputError
from common.losses.entropy.sigmoid_entropy import sigmoid_entropy
from grata.network import BRANCHES, ORIENTATIONS, GraTaNet
from grata.views import ORIENTED, mean_over_views

__all__ = ["OBJECTIVES", "branch_loss", "consistency", "entropy"]

#: Words for ``auxiliary`` and ``pseudo``; all but the first two need the network's branch of that name.
OBJECTIVES = ("entropy", "consistency", *BRANCHES)
NOISE_SD = 0.1


def entropy(network: nn.Module, image: Tensor, *, one_sided: bool = True) -> Tensor:
    """Entropy of the prediction of an image (B, C, H, W), see ``sigmoid_entropy``; a scalar."""
    return sigmoid_entropy(network(image), one_sided=one_sided)


def consistency(
    network: nn.Module, image: Tensor, strong: Tensor, *, views_at_once: int | None = None
) -> Tensor:
    """Binary cross-entropy of a restyled copy's prediction with the mean prediction of six views.

    Args:
        network: (B, C, H, W) to logits (B, K, H, W).
        image: (1, C, H, W).
        strong: the image in another style, (1, C, H, W) in [0, 1].
        views_at_once: see :func:`grata.views.mean_over_views`.

    Returns:
        A scalar.
    """
    with torch.no_grad():
        soft_label = mean_over_views(network, image, at_once=views_at_once)
    return F.binary_cross_entropy_with_logits(network(strong), soft_label)


def branch_loss(name: str, network: nn.Module, image: Tensor, generator: torch.Generator) -> Tensor:
    """The loss of one of the network's branches.

    Args:
        name: of :data:`grata.network.BRANCHES`.
        network: a :class:`grata.network.GraTaNet` with that branch.
        image: (B, C, H, W), sizes multiples of 32; of 64 and at least 128 for "super_resolution".
        generator: on the CPU; draws orientations and noise.

    Returns:
        A scalar.

    Raises:
        ValueError: a size does not fit the network.
        InputError: pictures too small for "super_resolution".
    """
    return _BRANCH_LOSSES[name](cast(GraTaNet, network), image, generator)


def _reconstruction(network: GraTaNet, image: Tensor, _: torch.Generator) -> Tensor:
    return F.mse_loss(network.branch("reconstruction", image).sigmoid(), image)


def _denoising(network: GraTaNet, image: Tensor, generator: torch.Generator) -> Tensor:
    noise = NOISE_SD * torch.randn(image.shape, generator=generator)
    return F.mse_loss(network.branch("denoising", image + noise.to(image)).sigmoid(), image)


def _super_resolution(network: GraTaNet, image: Tensor, _: torch.Generator) -> Tensor:
    height, width = image.shape[2:]
    if height % 64 or width % 64 or len(image) * (height // 64) * (width // 64) < 2:
        raise InputError(
            f"super_resolution: {len(image)} picture of {height} x {width} pixels; expected sides that are "
            'multiples of 64, from 128 on, since it halves them: give --image_size "[128,128]" or another '
            "objective"
        )
    half = F.interpolate(
        image, (image.shape[2] // 2, image.shape[3] // 2), mode="bilinear", align_corners=True
    )
    return F.mse_loss(network.branch("super_resolution", half).sigmoid(), image)


def _rotation(network: GraTaNet, image: Tensor, generator: torch.Generator) -> Tensor:
    """Each image in an orientation of its own; one by one where a quarter turn changes the shape."""
    classes = torch.randint(len(ORIENTATIONS), (len(image),), generator=generator)
    turned = [ORIENTED[ORIENTATIONS[k]](one) for one, k in zip(image.split(1), classes.tolist(), strict=True)]
    if len({one.shape for one in turned}) == 1:
        turned = [torch.cat(turned)]
    logits = torch.cat([network.branch("rotation", x) for x in turned])
    return F.cross_entropy(logits, classes.to(image.device))


_BRANCH_LOSSES: dict[str, Callable[[GraTaNet, Tensor, torch.Generator], Tensor]] = {
    "reconstruction": _reconstruction,
    "rotation": _rotation,
    "denoising": _denoising,
    "super_resolution": _super_resolution,
}
