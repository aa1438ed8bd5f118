"""Six views of an image (itself, two flips, three rotations), and how to undo them on a prediction.

Axes: B batch, C channels, (H, W).
Source: grata/docs/method.md#one-adaptation-step.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["INVERSES", "VIEWS", "from_views", "mean_over_views"]

Map = Callable[[Tensor], Tensor]


def _rotate(quarters: int) -> Map:
    """Rotate counter-clockwise by quarter turns."""
    return lambda x: torch.rot90(x, quarters, (-2, -1))


#: From the image (..., H, W) to the view; rotations by 90 and 270 degrees give (..., W, H).
VIEWS: tuple[Map, ...] = (
    lambda x: x,
    lambda x: x.flip(-1),
    lambda x: x.flip(-2),
    _rotate(1),
    _rotate(2),
    _rotate(3),
)
#: From each view back to the image's orientation.
INVERSES: tuple[Map, ...] = (VIEWS[0], VIEWS[1], VIEWS[2], _rotate(3), _rotate(2), _rotate(1))


def from_views(predictions: list[Tensor]) -> list[Tensor]:
    """The predictions of the six views, each turned back."""
    return [inverse(p) for inverse, p in zip(INVERSES, predictions, strict=True)]


def mean_over_views(network: Map, image: Tensor, *, together: bool = True) -> Tensor:
    """Mean of the network's class probabilities over the six views.

    Args:
        network: (B, C, H, W) to logits (B, K, H, W); it must treat the samples of a batch independently.
        image: (1, C, H, W).
        together: pass views of one shape through the network as one batch; otherwise one by one, with a sixth
            of the memory.

    Returns:
        Probabilities (1, K, H, W).
    """
    views = [view(image) for view in VIEWS]
    if not together:
        return torch.stack(from_views([network(v).sigmoid() for v in views])).mean(0)
    predictions: list[Tensor] = [image] * len(views)
    for shape in {v.shape for v in views}:
        places = [i for i, v in enumerate(views) if v.shape == shape]
        of_batch = network(torch.cat([views[i] for i in places])).sigmoid()
        for i, prediction in zip(places, of_batch.split(1), strict=True):
            predictions[i] = prediction
    return torch.stack(from_views(predictions)).mean(0)
