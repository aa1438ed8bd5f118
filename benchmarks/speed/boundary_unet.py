"""A BA-Net beside the plain U-Net of the same plan, in prediction and in a training step.

Both have a head at every level.  "direct" is the plain U-Net: the ratio is the price of the boundary decoder.
"compiled" is BA-Net.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from benchmarks.speed.calls import compiled_directly, prediction, training_step
from benchmarks.speed.measure import Case
from common.losses.boundary_aware import BoundaryAwareLoss
from common.transforms.boundary import inner_boundary

__all__ = ["beside_plain"]


def beside_plain(
    guided: nn.Module, plain: nn.Module, patches: Sequence[Sequence[int]], *, device: str
) -> Iterator[Case]:
    """One patch predicted, and trained on, at each size in voxels."""
    for patch in patches:
        image = torch.randn(1, 1, *patch, device=device)
        for what, ours, direct in (
            ("prediction", prediction(guided, image), prediction(plain, image)),
            ("training step", _step(guided, image), _step(plain, image)),
        ):
            yield Case(
                what=f"{what}, beside the plain U-Net",
                size="x".join(map(str, patch)),
                tokens=patch[0] * patch[1] * patch[2],
                ours=ours,
                direct=direct,
                compiled=compiled_directly(ours),
            )


def _step(network: nn.Module, image: Tensor) -> Callable[[], Tensor]:
    """With the boundary target, which both get and the plain U-Net has no use for."""
    loss = BoundaryAwareLoss()
    label = (image > 1).to(torch.uint8) + (image > 2).to(torch.uint8)

    def run() -> Tensor:
        target = {"classes": label, "boundary": inner_boundary(label).to(label.dtype)}
        return loss(network(image), target)

    return training_step(network, run)
