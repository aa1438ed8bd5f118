"""Six views of an image (itself, two flips, three rotations), and how to undo them on a prediction.

Axes: B batch, C channels, (H, W).
Source: grata/docs/method.md#one-adaptation-step.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["INVERSES", "ORIENTED", "VIEWS", "mean_over_views"]

_SMALL = 128 * 128  # pixels, up to which a pass of one view leaves the processor idle

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


#: The same by name, as the rotation branch counts them.
ORIENTED: dict[str, Map] = dict(
    zip(("identity", "horizontal flip", "vertical flip", "90", "180", "270"), VIEWS, strict=True)
)


def mean_over_views(network: Map, image: Tensor, *, at_once: int | None = None) -> Tensor:
    """Mean of the network's class probabilities over the six views.

    Args:
        network: (B, C, H, W) to logits (B, K, H, W); it must treat the samples of a batch independently
            unless ``at_once`` is 1.
        image: (1, C, H, W).
        at_once: how many views of one shape may go through the network as one batch, 1 to 6.  By default two
            up to 128 x 128 pixels, which is faster and needs no more memory than a pass with gradients; one
            beyond.

    Returns:
        Probabilities (1, K, H, W).

    Raises:
        ValueError: ``at_once`` is below 1.
    """
    if at_once is None:
        at_once = 2 if image.shape[-2] * image.shape[-1] <= _SMALL else 1
    if at_once < 1:
        raise ValueError(f"at_once={at_once}; expected a whole number from 1 to {len(VIEWS)}")
    turned = [image.shape[-2:] != view(image).shape[-2:] for view in VIEWS]
    found: list[Tensor] = [image] * len(VIEWS)
    for quarter in (False, True):
        places = [i for i, is_turned in enumerate(turned) if is_turned == quarter]
        for first in range(0, len(places), at_once):
            chunk = places[first : first + at_once]
            probabilities = network(torch.cat([VIEWS[i](image) for i in chunk])).sigmoid()
            for i, prediction in zip(chunk, probabilities.split(1), strict=True):
                found[i] = INVERSES[i](prediction)
    return torch.stack(found).mean(0)
