"""The probability of a boundary beside those of the classes, from windows over whole images.

Axes: B batch, C input channels, K classes, *S two or three spatial ones.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from torch import Tensor

from common.errors import InputError
from common.inference.even_windows import EvenWindowInferer

__all__ = ["BoundaryWindowInferer", "SplitBoundaryd"]


class BoundaryWindowInferer(EvenWindowInferer):
    """Class probabilities, and on request the probability of a boundary as one more channel.

    Any network will do; one without a method ``with_boundary`` gives its classes alone.

    Args:
        boundaries: append the probability of a boundary where the network has one.
        settings: of ``EvenWindowInferer``.
    """

    def __init__(self, *args: Any, boundaries: bool = False, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.boundaries = boundaries

    def __call__(self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """(B, C, *S) of any size to probabilities (B, K or K + 1, *S), float32."""
        inner = getattr(network, "module", network)  # within DistributedDataParallel
        if not (self.boundaries and hasattr(inner, "with_boundary")):
            return super().__call__(inputs, network, *args, **kwargs)
        both = super().__call__(inputs, lambda x: _joint_logits(inner.with_boundary(x)))
        return 2 * both[:, :-1]


def _joint_logits(output: Tensor) -> Tensor:
    """Logits of one distribution, half of which the classes share, half boundary and no boundary.

    Args:
        output: class logits and the probability of a boundary, (B, K + 1, *S).

    Returns:
        (B, K + 2, *S).  Windows and mirrored views average what a softmax makes of it.
    """
    classes, boundary = output[:, :-1].float(), output[:, -1:].float()
    return torch.cat([classes.log_softmax(1), boundary.log(), (1 - boundary).log()], dim=1)


class SplitBoundaryd(MapTransform):
    """Move the probability of a boundary, if there is one behind those of the classes, to ``boundary``.

    Args:
        keys: probabilities (K or K + 1, *S).
        classes: K.
        required: refuse predictions without a boundary.
    """

    def __init__(self, keys: KeysCollection, *, classes: int, required: bool = False) -> None:
        super().__init__(keys)
        self.classes, self.required = classes, required

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Classes stay under their key.

        Raises:
            InputError: a boundary is required and there is none.
        """
        result = dict(data)
        for key in self.key_iterator(data):
            both = result[key]
            if len(both) > self.classes:
                result[key], result["boundary"] = both[: self.classes], both[self.classes :]
            elif self.required:
                raise InputError(
                    "boundaries: this network has no boundary decoder; leave --boundaries out, or take a BA-Net"
                )
        return result
